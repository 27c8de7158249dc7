// A full disk, simulated by a limit on file sizes: writes are refused with 503 while it lasts, reads continue, and once
// there is space the same process writes again. All acknowledged messages are stored and were delivered, and no others.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { Administrator } from '../lib/rest.mjs';
import { Server } from '../lib/server.mjs';
import { Socket } from '../lib/socket.mjs';
import { damage } from '../lib/sqlite.mjs';
import { until } from '../lib/wait.mjs';

const ROUNDS = 2;
const WRITERS = 4;
/** Maximum growth of a file per round: a few hundred messages. */
const ROOM = 1024 * 1024;
const PADDING = 'x'.repeat(4_000);
/** The number of refusals per writer before there is space again. */
const REFUSALS = 10;

let server, writer, pid;
let failed = false;

before(async () => {
	// A process that exceeds the limit gets a signal that would end it, unlike with a full disk. Python ignores that signal,
	// and so does its child, the program behind the held socket.
	server = await Server.start({ held: true });
	const children = readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, 'utf8').trim();
	assert.match(children, /^\d+$/);
	pid = Number(children);
	const [, ignored] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
	assert.ok(BigInt(`0x${ignored}`) & (1n << 24n), 'the server should ignore SIGXFSZ here');
	writer = await (await Administrator.signIn(server)).member('Writer');
});
afterEach((t) => {
	failed ||= t.passed === false;
});
after(() => server?.dispose(failed));

/** Sets the maximum size of files; the hard limit is unchanged. */
function limit(bytes) {
	execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:unlimited`]);
}

function largest() {
	const files = ['', '-wal', '-shm'].map((suffix) => server.database + suffix);
	return Math.max(...files.filter((file) => existsSync(file)).map((file) => statSync(file).size));
}

/** Creates messages until some are refused; records both kinds separately. */
async function fill(name, acknowledged, refused) {
	for (let number = 0, refusals = 0; refusals < REFUSALS; number++) {
		assert.ok(number < 5_000, 'the limit should have been reached by now');
		const content = `${name}.${number} ${PADDING}`;
		const answer = await writer.rest.call('POST', '/items/messages', { content });
		if (answer.status === 200) {
			acknowledged.set(content, answer.data.id);
			continue;
		}
		assert.deepEqual([answer.status, answer.code], [503, 'SERVICE_UNAVAILABLE'], answer.text.slice(0, 500));
		refusals += 1;
		refused.push(content);
	}
}

test('writes fail on a full disk and succeed again once space is free', { timeout: 120_000 }, async (t) => {
	const acknowledged = new Map();
	const refused = [];
	const shown = new Map();
	const socket = new Socket(server.origin);
	await socket.opened;
	socket.send({ type: 'auth', access_token: writer.token });
	socket.onFrame((frame) => {
		if (frame.event !== 'create') return;
		for (const row of frame.data) {
			assert.ok(!shown.has(row.content), 'a message should be shown once');
			shown.set(row.content, row.id);
		}
	});
	socket.send({ type: 'subscribe', collection: 'messages', event: 'create', query: { fields: ['id', 'content'] } });
	await until(() => socket.frames.some((frame) => frame.event === 'init'), 'the subscription to begin');

	for (let round = 1; round <= ROUNDS; round++) {
		limit(largest() + ROOM);
		await Promise.all(Array.from({ length: WRITERS }, (_, number) => fill(`${round}.${number}`, acknowledged, refused)));
		// Reads work while writes fail.
		assert.equal((await writer.rest.data('GET', '/items/messages?limit=1')).length, 1);
		assert.ok(acknowledged.size >= round * 20, `only ${acknowledged.size} were acknowledged`);

		limit('unlimited');
		// No longer than the usual delay of a retry.
		const again = `${round}: again`;
		await until(
			async () => {
				const answer = await writer.rest.call('POST', '/items/messages', { content: again });
				if (answer.status === 200) return acknowledged.set(again, answer.data.id);
				assert.equal(answer.status, 503, answer.text);
				return false;
			},
			'a write to succeed again',
			{ ms: 5_000, every: 50 },
		);
		for (let number = 0; number < 20; number++) {
			const content = `${round}: after ${number}`;
			acknowledged.set(content, (await writer.rest.post(content)).id);
		}
	}
	t.diagnostic(`${acknowledged.size} acknowledged, ${refused.length} refused`);

	const expected = [...acknowledged].sort(([, a], [, b]) => a - b);
	const stored = async () => (await writer.rest.allMessages()).map((row) => [row.content, row.id]);
	assert.deepEqual(await stored(), expected);
	assert.ok(refused.every((content) => !acknowledged.has(content)));
	await until(() => shown.size >= acknowledged.size, 'the subscriber to see every message');
	assert.deepEqual([...shown], expected);
	server.assertAlive();
	assert.equal(readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, 'utf8').trim(), String(pid), 'the process should be the same');
	socket.close();

	await server.replace();
	assert.deepEqual(await stored(), expected);
	await server.stop();
	assert.deepEqual(damage(server.database), []);
});
