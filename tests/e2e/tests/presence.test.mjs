// The number of present and of typing users is correct even if clients are killed, frozen, or cut off without notice.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Proxy } from '../lib/proxy.mjs';
import { environment, Server } from '../lib/server.mjs';
import { TopicsClient } from '../lib/topics_client.mjs';
import { until, within } from '../lib/wait.mjs';

const CLIENT = fileURLToPath(new URL('../lib/topics_client.mjs', import.meta.url));
const PERIOD_SECONDS = 2;

let server, witness;
let failed = false;
const children = new Set();

/** Starts clients in separate processes, and waits until each is counted. */
async function processes(count, { origin } = server) {
	return Promise.all(
		Array.from({ length: count }, async () => {
			const child = spawn(process.execPath, [CLIENT, origin], { env: environment(), stdio: ['ignore', 'pipe', 'inherit'] });
			children.add(child);
			await within(once(child.stdout, 'data'), 'the client to be counted', 30_000);
			return child;
		}),
	);
}

/**
 * Asserts that at most two heartbeats have passed. The witness may count three, since its heartbeats are not in phase with
 * those of the others.
 */
function assertTwoBeatsSince(beats) {
	const passed = witness.beats - beats;
	assert.ok(passed >= 1 && passed <= 3, `a ghost stayed for ${passed} heartbeats`);
}

before(async () => {
	server = await Server.start({ demo: true, env: { WEBSOCKETS_HEARTBEAT_PERIOD: String(PERIOD_SECONDS) } });
	witness = await TopicsClient.open(server.origin);
});
after(async () => {
	witness?.close();
	for (const child of children) child.kill('SIGKILL');
	await server?.dispose(failed);
});
afterEach((t) => {
	failed ||= t.passed === false;
});

test('killed clients are removed at once, without a heartbeat', async () => {
	const patient = await Server.start({ demo: true, env: { WEBSOCKETS_HEARTBEAT_PERIOD: '3600', TYPING_TIMEOUT: '3600' } });
	try {
		const other = await TopicsClient.open(patient.origin);
		other.say('subscribe', 'typing');
		const killed = await processes(5, patient);
		await other.users(6);
		await until(() => other.states.typing?.length === 5, 'all to be writing', { ms: 30_000 });

		for (const child of killed) child.kill('SIGKILL');

		await other.users(1);
		await until(() => other.states.typing.length === 0, 'nobody to be writing', { ms: 30_000 });
		other.close();
	} finally {
		await patient.dispose(failed);
	}
});

test('a stopped client is removed after two heartbeats, and a live one stays', async () => {
	const [stopped] = await processes(1);
	await witness.users(2);
	const { beats } = witness;

	stopped.kill('SIGSTOP');
	await witness.users(1);

	assertTwoBeatsSince(beats);
	stopped.kill('SIGCONT');
	stopped.kill('SIGKILL');
});

test('a silent network failure leaves no ghost users', async () => {
	const proxy = await Proxy.start(server.port);
	try {
		const lost = await Promise.all(Array.from({ length: 3 }, () => TopicsClient.open(proxy.origin)));
		await witness.users(4);

		const { beats } = witness;
		proxy.freeze();
		await witness.users(1);

		assertTwoBeatsSince(beats);
		// They have not been notified: the server ended them because of silence.
		for (const client of lost) {
			assert.equal(client.ws.readyState, client.ws.OPEN);
			client.close();
		}
	} finally {
		await proxy.stop();
	}
});

test('the count of users starts over after a server restart', async () => {
	await server.end('SIGKILL');
	await server.launch();

	const first = await TopicsClient.open(server.origin);
	const second = await TopicsClient.open(server.origin);
	await first.users(2);
	second.close();
	await first.users(1);
	first.close();
});
