// Guarantee D1 in its short form: an acknowledged message survives `kill -9` at any time; no event is delivered that is not
// stored; ids keep increasing; the server is ready again at once. Eight writers and four subscribers run while the real
// process is killed and restarted. The seed is printed; SEED=… repeats the times (not the interleaving).
import assert from 'node:assert/strict';
import { copyFileSync, existsSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { History } from '../lib/history.mjs';
import { randomFrom, SEED } from '../lib/random.mjs';
import { Administrator } from '../lib/rest.mjs';
import { freshDirectory, Server } from '../lib/server.mjs';
import { Socket } from '../lib/socket.mjs';
import { damage } from '../lib/sqlite.mjs';
import { sleep, until } from '../lib/wait.mjs';

const KILLS = 5;
const LIFE_MS_MAX = 3_000;
const ACKNOWLEDGED_MIN = 2_000;
const READY_MS_MAX = 1_000;
/** Delay before a client retries after a refused connection. */
const RETRY_MS = 20;
/** The number of messages after which a subscriber subscribes again. */
const REPEAT_EVERY = 5;

let server, person;
let failed = false;
const history = new History();
const running = { on: true };

before(async () => {
	server = await Server.start({ demo: true });
	person = await (await Administrator.signIn(server)).person('Writer');
});
afterEach((t) => {
	failed ||= t.passed === false;
});
after(() => server?.dispose(failed));

/** Creates one message after another over REST; never retries one with an unknown outcome. */
async function writeOverRest(name) {
	for (let number = 0; running.on; number++) {
		const content = history.send(`${name} ${number}`);
		try {
			const row = await person.rest.post(content);
			history.acknowledge(content, row.id);
		} catch (error) {
			if (error.code === 'ERR_ASSERTION') throw error;
			if (error.cause?.code === 'ECONNREFUSED') history.refuse(content);
			await sleep(RETRY_MS);
		}
	}
}

/** Opens a signed-in socket, retrying until it succeeds; null once the run is over. */
async function connect() {
	while (running.on) {
		let socket;
		try {
			socket = new Socket(server.origin);
			await socket.opened;
			socket.send({ type: 'auth', access_token: person.token });
			const answer = await Promise.race([socket.next(), socket.ended]);
			if (answer.status === 'ok') return socket;
			assert.notEqual(answer.type, 'auth', `auth was refused: ${JSON.stringify(answer)}`);
		} catch (error) {
			socket?.close();
			if (error.code === 'ERR_ASSERTION') throw error;
		}
		await sleep(RETRY_MS);
	}
	return null;
}

/** The same through a socket. */
async function writeThroughSocket(name) {
	let socket = await connect();
	for (let number = 0; running.on; number++) {
		const content = history.send(`${name} ${number}`);
		socket.send({ type: 'items', action: 'create', collection: 'messages', data: { content }, uid: content });
		const answer = await Promise.race([socket.next(), socket.ended]);
		if (answer.uid === content) {
			assert.notEqual(answer.status, 'error', `a create was refused: ${JSON.stringify(answer)}`);
			history.acknowledge(content, answer.data.id);
		} else {
			assert.equal(answer.type, undefined, `an unexpected frame: ${JSON.stringify(answer)}`);
			socket = await connect();
			if (!socket) return;
		}
	}
	socket.close();
}

/** Receives creates on one connection after another. Like the SDK, it subscribes twice, and again at intervals. */
async function subscribe(name) {
	for (let connection = 0; running.on; connection++) {
		const socket = await connect();
		if (!socket) return;
		const twice = () => {
			for (let time = 0; time < 2; time++) {
				socket.send({ type: 'subscribe', collection: 'messages', event: 'create', query: { fields: ['id', 'content'] }, uid: name });
			}
		};
		socket.onFrame((frame) => {
			if (frame.event !== 'create') return;
			assert.equal(frame.data.length, 1);
			history.show(`${name}.${connection}`, frame.data[0]);
			if (frame.data[0].id % REPEAT_EVERY === 0) twice();
		});
		twice();
		await Promise.race([socket.ended, running.stopped]);
		socket.close();
	}
}

/** The database as left by the kill, checked in a copy before opening it repairs it. */
function damageAfterKill() {
	const copy = path.join(freshDirectory(), 'copy.db');
	for (const suffix of ['', '-wal']) if (existsSync(server.database + suffix)) copyFileSync(server.database + suffix, copy + suffix);
	return damage(copy);
}

test(`${ACKNOWLEDGED_MIN} acknowledged messages and ${KILLS} kills: none lost, none invented, all in order`, { timeout: 180_000 }, async (t) => {
	const random = randomFrom(SEED);
	t.diagnostic(`seed ${SEED}`);
	let stop;
	running.stopped = new Promise((resolve) => (stop = resolve));
	const clients = [1, 2, 3, 4].flatMap((number) => [writeOverRest(`rest-${number}`), writeThroughSocket(`socket-${number}`), subscribe(`subscriber-${number}`)]);
	const broken = Promise.all(clients);
	broken.catch(() => {});

	const lives = [];
	const readyAgain = [];
	const damaged = [];
	for (let kill = 0; kill < KILLS; kill++) {
		const life = random() * LIFE_MS_MAX;
		lives.push(Math.round(life));
		await Promise.race([sleep(life), broken]);
		await server.end('SIGKILL');
		damaged.push(...damageAfterKill());
		readyAgain.push(Math.round(await server.launch()));
	}
	await Promise.race([broken, until(() => history.acknowledged.size >= ACKNOWLEDGED_MIN, `${ACKNOWLEDGED_MIN} acknowledgements`, { ms: 60_000 })]);
	running.on = false;
	stop();
	await broken;

	const rows = await person.rest.allMessages();
	const found = history.verify(rows);
	await server.stop();
	damaged.push(...damage(server.database));
	readyAgain.sort((a, b) => a - b);
	const median = readyAgain[Math.floor(readyAgain.length / 2)];
	t.diagnostic(`killed after ${lives.join(', ')} ms of life`);
	t.diagnostic(`sent ${history.sent.size}: acknowledged ${history.acknowledged.size}, refused ${history.refused.size}, outcome unknown ${history.unknown}; stored ${rows.length}; shown ${history.shown.length}`);
	t.diagnostic(`ready again after ${readyAgain.join(', ')} ms, median ${median} ms`);
	t.diagnostic(Object.entries(found).map(([kind, list]) => `${kind} ${list.length}`).join(', '));

	for (const [kind, list] of Object.entries(found)) assert.deepEqual(list.slice(0, 5), [], `${kind}: ${list.length}`);
	assert.deepEqual(damaged, [], 'the database is damaged');
	for (const number of [1, 2, 3, 4]) assert.ok(history.shown.some(({ connection }) => connection.startsWith(`subscriber-${number}.`)), `subscriber ${number} saw nothing`);
	assert.ok(median <= READY_MS_MAX, `ready again after ${median} ms`);
});
