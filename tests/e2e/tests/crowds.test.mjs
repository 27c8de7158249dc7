// Many sockets at once: sockets that do not read, that close together, or that exceed the limit of open files. None of them
// uses unbounded memory or affects other clients.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { Administrator } from '../lib/rest.mjs';
import { Server } from '../lib/server.mjs';
import { Socket } from '../lib/socket.mjs';
import { sleep, until, within } from '../lib/wait.mjs';

const SLOW = 200;
/** Enough messages to fill an outbox and the system's buffers between both ends. */
const MESSAGES = 150;
const CONTENT = 'x'.repeat(60_000);
/** As many as this machine allows one process, up to ten thousand. */
const CROWD = Math.min(10_000, openFilesMax() - 500);
/** The number of sockets opened concurrently. */
const AT_ONCE = 100;
const KIB = 1024;
const MIB = 1024 * 1024;

let server, alice;
let failed = false;

before(async () => {
	server = await Server.start();
	alice = await (await Administrator.signIn(server)).member('Alice');
});
afterEach((t) => {
	failed ||= t.passed === false;
});
after(() => server?.dispose(failed));

function openFilesMax() {
	return Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))[1]);
}

function residentBytes() {
	return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]) * 1024;
}

/** The server's CPU time so far, in seconds. */
function cpuSeconds() {
	const fields = readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1].split(' ');
	return (Number(fields[11]) + Number(fields[12])) / 100;
}

const openFiles = () => readdirSync(`/proc/${server.pid}/fd`).length;

function frame(text) {
	const payload = Buffer.from(JSON.stringify(text));
	assert.ok(payload.length < 65_536);
	const head = payload.length < 126 ? [0x81, 0x80 | payload.length] : [0x81, 0xfe, payload.length >> 8, payload.length & 0xff];
	return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), payload]);
}

/** Opens a socket, subscribes with this uid, waits for the confirmation, and reads nothing from then on. */
async function subscribeAndStopReading(uid) {
	const socket = net.connect(server.port, '127.0.0.1');
	socket.on('error', () => {});
	const ended = new Promise((resolve) => socket.once('close', resolve));
	socket.write('GET /websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n');
	socket.write('Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
	socket.write(frame({ type: 'auth', access_token: alice.rest.token }));
	socket.write(frame({ type: 'subscribe', collection: 'messages', event: 'create', uid }));
	let heard = '';
	await new Promise((resolve) => {
		socket.on('data', (bytes) => {
			heard += bytes.toString('latin1');
			if (heard.includes('"init"')) resolve();
		});
	});
	socket.removeAllListeners('data');
	socket.pause();
	return { socket, ended };
}

test('sockets that do not read use bounded memory, are closed, and do not slow down others', async () => {
	const quick = await Socket.open(server.origin, { access_token: alice.rest.token });
	await quick.ask({ type: 'subscribe', collection: 'messages', event: 'create', query: { fields: ['id'] } }, 'q');
	const slow = [];
	// Each with its own uid, so that no frames are shared.
	for (let number = 0; number < SLOW; number++) slow.push(await subscribeAndStopReading(`s${number}`));
	const before = residentBytes();
	let most = before;

	const ids = [];
	for (let number = 0; number < MESSAGES; number++) {
		ids.push((await alice.rest.post(CONTENT)).id);
		most = Math.max(most, residentBytes());
	}

	const told = [];
	await until(() => {
		told.push(...quick.frames.splice(0).filter(({ event }) => event === 'create').map(({ data }) => data[0].id));
		return told.length >= MESSAGES;
	}, 'the reader to hear of everything');
	assert.deepEqual(told, ids);
	assert.ok(most - before <= 64 * MIB, `${((most - before) / MIB).toFixed(1)} MiB for ${SLOW} sockets that do not read`);
	for (const { socket } of slow) socket.resume();
	await within(Promise.all(slow.map(({ ended }) => ended)), 'the server to close all that did not read', 30_000);
	assert.equal(quick.closed, null);
	quick.ws.close();
});

test('idle sockets use little memory, and a mass disconnect does not delay others', async () => {
	assert.ok(CROWD >= 1_000, `only ${CROWD} sockets: raise the hard limit of open files`);
	const stays = await Socket.open(server.origin, { access_token: alice.rest.token });
	await until(() => openFiles() < SLOW, 'the sockets of the test before to be gone');
	const [files, before] = [openFiles(), residentBytes()];
	const crowd = [];
	while (crowd.length < CROWD) {
		const some = Array.from({ length: Math.min(AT_ONCE, CROWD - crowd.length) }, () => Socket.open(server.origin));
		crowd.push(...(await Promise.all(some)));
	}
	assert.ok(openFiles() > CROWD);
	const each = (residentBytes() - before) / CROWD;
	assert.ok(each <= 16 * KIB, `${(each / KIB).toFixed(1)} KiB for a socket`);
	assert.equal(stays.closed, null);

	for (const socket of crowd) socket.ws.terminate();
	let longest = 0;
	await until(async () => {
		const asked = performance.now();
		await stays.ask({ type: 'ping' });
		longest = Math.max(longest, performance.now() - asked);
		return openFiles() <= files + 5;
	}, 'the server to let go of all of them');

	assert.ok(longest < 1_000, `an answer took ${longest.toFixed(0)} ms`);
	stays.ws.close();
});

test('the server waits without file descriptors and recovers once some are free', async () => {
	await alice.rest.post('opens what the server keeps open');
	const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${server.pid}/limits`, 'utf8'));
	execFileSync('prlimit', ['--pid', String(server.pid), `--nofile=${openFiles() + 10}:`]);
	const held = Array.from({ length: 40 }, () => net.connect(server.port, '127.0.0.1').on('error', () => {}));
	await until(() => server.log.includes('cannot accept connections'), 'the server to run out of files');

	const before = cpuSeconds();
	await sleep(2_000);
	const spent = (cpuSeconds() - before) / 2;
	for (const socket of held) socket.destroy();

	assert.ok(spent < 0.1, `${(spent * 100).toFixed(0)} % of a processor while it waits`);
	await server.ready();
	await alice.rest.post('goes on');
	execFileSync('prlimit', ['--pid', String(server.pid), `--nofile=${soft}:`]);
});

test('a low file limit rejects excess connections without hanging', async (t) => {
	const small = await Server.start({ filesMax: 256 });
	t.after(() => small.dispose(t.passed === false));

	const asked = Array.from({ length: 300 }, () => net.connect(small.port, '127.0.0.1').setEncoding('utf8').on('error', () => {}));
	const upgrade = 'GET /websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
	const answers = await within(Promise.all(asked.map((socket) => new Promise((resolve) => {
		socket.once('data', (text) => resolve(Number(text.split(' ')[1]))).once('close', () => resolve(0));
		socket.write(upgrade);
	}))), 'an answer for everybody');
	for (const socket of asked) socket.destroy();

	// A connection that is still writing while it is refused may be reset.
	const refused = answers.filter((status) => status === 503 || status === 0).length;
	assert.equal(answers.filter((status) => status === 101).length + refused, asked.length, `${answers}`);
	assert.ok(refused >= 100, `${refused} were refused`);
	assert.match(small.log, /fewer than CONNECTIONS_MAX/);
	assert.doesNotMatch(small.log, /cannot accept connections/);
	await small.ready();
});
