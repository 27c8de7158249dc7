// Cursors, `recover` and idempotency keys with faults: publishers retry unanswered creates, subscribers of several kinds
// keep reconnecting, connections are cut at random, readers stop reading, and the real process is killed (SIGKILL) at random
// times. In the end every subscriber has received every stored message, in one order, without duplicates except those marked
// as replayed; every message is stored once; no event was delivered that is not stored.
//
// Short by default; long with KILLS=200 (`make history`). SEED=… with the printed seed repeats the times, not the
// interleaving of clients.
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { Delivery } from '../lib/delivery.mjs';
import { randomFrom, SEED } from '../lib/random.mjs';
import { Administrator } from '../lib/rest.mjs';
import { Server } from '../lib/server.mjs';
import { Socket } from '../lib/socket.mjs';
import { sleep, until } from '../lib/wait.mjs';

const KILLS = Number(process.env.KILLS ?? 6);
const LIFE_MS_MAX = 1_500;
const RETRY_MS = 20;
/** Maximum lifetime of a connection before its client cuts it. */
const CONNECTION_MS_MAX = 900;
/** Maximum time for which a slow reader reads nothing. */
const NAP_MS_MAX = 1_000;
/** Some messages are long, so that a slow reader's backlog exceeds the system's buffers. */
const LONG = '.'.repeat(30_000);
const LONG_EVERY = 10;
const PUBLISHER_PAUSE_MS = 3;
/** Chances that a publisher repeats an answered create or is cut off after sending, and the maximum delay of the cut. */
const REPEAT_CHANCE = 0.05;
const CUT_CHANCE = 0.02;
const CUT_MS_MAX = 5;

/** The close code for a client that does not read. */
const TOO_SLOW = 1013;
/** Time limit for subscribers to catch up after publishing has ended. */
const PATIENCE_MS = 60_000;

const random = randomFrom(SEED);
/** Acknowledged creates: content to id. */
const acknowledged = new Map();
const contradicted = [];
const running = { publishing: true, subscribing: true, patience: 0 };
/** Whether publishing has ended and the time limit has passed. */
const over = () => !running.publishing && Date.now() > running.patience;
let slowReaders = 0;
let server, person;
let failed = false;
let stored = [];

before(async () => {
	// Small, so that readers that pause are disconnected.
	server = await Server.start({ demo: true, env: { WEBSOCKETS_OUTBOX_SIZE_MAX: '16kb' } });
	person = await (await Administrator.signIn(server)).person('Writer');
});
afterEach((t) => {
	failed ||= t.passed === false;
});
after(() => server?.dispose(failed));

/** Records the id of an acknowledgement: all repeats must return the same one. */
function acknowledge(content, id) {
	const key = brief(content);
	const before = acknowledged.get(key);
	if (before !== undefined && before !== id) contradicted.push({ content: key, ids: [before, id] });
	acknowledged.set(key, id);
}

const compose = (name, number) => `${name} ${number} ${number % LONG_EVERY === 0 ? LONG : ''}`;

/** All of a content, or its beginning and a digest, copied so that the rest can be freed. */
function brief(content) {
	if (content.length < 100) return content;
	return Buffer.from(`${content.slice(0, 40)} ${createHash('sha256').update(content).digest('base64')}`).toString();
}

/** Creates over REST, retrying with the same key until there is an answer; sometimes repeats an answered create. */
async function publishOverRest(name) {
	for (let number = 0; running.publishing; number++) {
		const content = compose(name, number);
		const key = randomUUID();
		for (let more = random() < REPEAT_CHANCE ? 2 : 1; more > 0 && !over(); ) {
			// Some give up while the answer is on its way.
			const patience = random() < CUT_CHANCE ? random() * CUT_MS_MAX : 5_000;
			try {
				const answer = await fetch(`${server.origin}/items/messages`, {
					method: 'POST',
					headers: { authorization: `Bearer ${person.token}`, 'content-type': 'application/json', 'idempotency-key': key },
					body: JSON.stringify({ content }),
					signal: AbortSignal.timeout(patience),
				});
				const text = await answer.text();
				// While starting or stopping, a server may answer that it is busy.
				if (answer.status !== 503) assert.equal(answer.status, 200, `a create was refused: ${text}`);
				if (answer.status === 200) {
					acknowledge(content, JSON.parse(text).data.id);
					more -= 1;
				}
			} catch (error) {
				if (error.code === 'ERR_ASSERTION') throw error;
				await sleep(RETRY_MS);
			}
		}
		await sleep(PUBLISHER_PAUSE_MS);
	}
}

/** The same through a socket. */
async function publishThroughSocket(name) {
	let socket = null;
	for (let number = 0; running.publishing; number++) {
		const content = compose(name, number);
		const key = randomUUID();
		for (let more = random() < REPEAT_CHANCE ? 2 : 1; more > 0 && !over(); ) {
			socket ??= await connect();
			if (!socket) return;
			const current = socket;
			const answered = socket.next();
			socket.send({ type: 'items', action: 'create', collection: 'messages', data: { content }, uid: key, idempotency_key: key });
			if (random() < CUT_CHANCE) setTimeout(() => current.close(), random() * CUT_MS_MAX);
			const answer = await Promise.race([answered, socket.ended]);
			assert.notEqual(answer.status, 'error', `a create was refused: ${JSON.stringify(answer)}`);
			if (answer.uid === key && answer.data) {
				acknowledge(content, answer.data.id);
				more -= 1;
			} else {
				socket.close();
				socket = null;
			}
		}
		await sleep(PUBLISHER_PAUSE_MS);
	}
	socket?.close();
}

/** Opens a signed-in socket, retrying until it succeeds; null after the time limit. */
async function connect() {
	while (!over()) {
		const socket = new Socket(server.origin);
		try {
			await socket.opened;
			socket.send({ type: 'auth', access_token: person.token });
			const answer = await Promise.race([socket.next(), socket.ended]);
			if (answer.status === 'ok') return socket;
		} catch {
			// The server is being killed or started.
		}
		socket.close();
		await sleep(RETRY_MS);
	}
	return null;
}

/** Subscribes on one connection after another, each cut after a while, until all stored messages have been received. */
async function subscribe(delivery, { naps = false, ...options }) {
	let cursor = null;
	let checked = 0;
	const done = () => {
		if (running.subscribing) return false;
		while (checked < stored.length && (delivery.told.has(stored[checked].id) || !delivery.wants(stored[checked].content))) checked += 1;
		return checked === stored.length || over();
	};
	while (!done()) {
		const socket = await connect();
		if (!socket) return;
		delivery.connected();
		const again = delivery.begun;
		socket.onFrame((frame) => {
			if (frame.type !== 'subscription') return;
			assert.equal(frame.status, undefined, `a subscription ended: ${JSON.stringify(frame)}`);
			if (frame.event === 'init') {
				delivery.began(frame.recovered);
			} else {
				for (const { id, content } of frame.data) delivery.tell({ id, content: brief(content) }, frame.replayed === true);
			}
			cursor = frame.cursor ?? cursor;
		});
		const frame = {
			type: 'subscribe',
			collection: 'messages',
			event: 'create',
			query: { fields: ['id', 'content'] },
			uid: delivery.name,
			...(delivery.keepsCursor && cursor ? { since: cursor } : {}),
			...options,
		};
		socket.send(frame);
		// The SDK repeats its subscriptions twice.
		if (options.recover && again) socket.send(frame);
		const end = Date.now() + (running.subscribing ? random() * CONNECTION_MS_MAX : 5_000);
		while (Date.now() < end && !socket.closed && !done()) {
			if (naps && running.subscribing && random() < 0.3) {
				socket.ws.pause();
				await sleep(random() * NAP_MS_MAX);
				socket.ws.resume();
			}
			await sleep(20);
		}
		socket.close();
		const { code } = await socket.ended;
		if (code === TOO_SLOW) slowReaders += 1;
	}
}

test(`${KILLS} kills: every reconnected subscriber receives every event once and in order`, { timeout: 60_000 + KILLS * 10_000 }, async (t) => {
	t.diagnostic(`seed ${SEED}`);
	const kinds = {
		'with a cursor': {},
		'with a cursor, of all events': { event: undefined },
		'with a cursor, napping': { naps: true },
		'with recover': { recover: randomUUID() },
		'with recover, napping': { recover: randomUUID(), naps: true },
		'with a cursor and a filter': { query: { fields: ['id', 'content'], filter: { content: { _starts_with: 'rest' } } } },
	};
	const deliveries = Object.entries(kinds).map(([name, options]) => {
		const wants = name.includes('filter') ? (content) => content.startsWith('rest') : undefined;
		return { options, delivery: new Delivery(name, { keepsCursor: !options.recover, ...(wants && { wants }) }) };
	});
	const subscribers = deliveries.map(({ delivery, options }) => subscribe(delivery, options));
	const publishers = [];
	const all = [];
	try {
		await Promise.race([until(() => deliveries.every(({ delivery }) => delivery.begun), 'all subscriptions to begin'), ...subscribers]);
		for (const number of [1, 2, 3]) publishers.push(publishOverRest(`rest-${number}`), publishThroughSocket(`socket-${number}`));
		all.push(Promise.all([...publishers, ...subscribers]));
		for (let kill = 0; kill < KILLS; kill++) {
			await Promise.race([sleep(random() * LIFE_MS_MAX), ...all]);
			await server.end('SIGKILL');
			await server.launch();
		}
		await Promise.race([sleep(500), ...all]);
		running.patience = Date.now() + PATIENCE_MS;
		running.publishing = false;
		await Promise.race([Promise.all(publishers), ...all]);
		stored = (await person.rest.allMessages()).map(({ id, content }) => ({ id, content: brief(content) }));
		running.subscribing = false;
		await Promise.all(all);
	} finally {
		// After an error, all clients stop.
		Object.assign(running, { publishing: false, subscribing: false, patience: 0 });
		await Promise.allSettled([...publishers, ...subscribers]);
	}

	const contents = new Map();
	for (const { content } of stored) contents.set(content, (contents.get(content) ?? 0) + 1);
	const byId = new Map(stored.map(({ id, content }) => [id, content]));
	t.diagnostic(`${acknowledged.size} messages acknowledged, ${stored.length} stored, ${slowReaders} connections closed for reading too slowly`);
	for (const { delivery } of deliveries) t.diagnostic(`${delivery.name}: ${delivery.connections} connections, ${delivery.told.size} messages told, ${delivery.replayed} times as replayed, ${delivery.repeated} times again`);

	assert.deepEqual(contradicted.slice(0, 5), [], 'a repeat was told another id');
	assert.deepEqual([...acknowledged].filter(([content, id]) => byId.get(id) !== content).slice(0, 5), [], 'acknowledged and not stored');
	assert.deepEqual([...contents].filter(([, count]) => count > 1).slice(0, 5), [], 'stored twice');
	assert.deepEqual([...contents.keys()].filter((content) => !acknowledged.has(content)).slice(0, 5), [], 'stored and never acknowledged, although repeated until it was');
	assert.ok(slowReaders > 0, 'nobody read too slowly');
	for (const { delivery } of deliveries) {
		for (const [kind, list] of Object.entries(delivery.verify(stored))) assert.deepEqual(list.slice(0, 5), [], `${delivery.name}: ${kind} ${list.length}`);
		assert.ok(delivery.connections > 1, `${delivery.name} never came back`);
		assert.ok(delivery.replayed > 0, `${delivery.name} was never told what it missed`);
	}
});
