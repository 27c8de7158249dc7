// The tutorial's page with one additional line, `recover`, and the unmodified SDK: after any connection fault and with
// concurrent writers, the page shows every message, once and in order.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, describe, test } from 'node:test';
import WebSocket from 'ws';
import { launchBrowser, Window } from '../lib/browser.mjs';
import { buildPage, withRecover } from '../lib/build_page.mjs';
import { Proxy } from '../lib/proxy.mjs';
import { Administrator } from '../lib/rest.mjs';
import { Server } from '../lib/server.mjs';
import { LOST_CONNECTION_ERRORS, TutorialPage } from '../lib/tutorial_page.mjs';
import { sleep, until } from '../lib/wait.mjs';

/** The origin of the page, and the fault injected into its connection. Faults outlast the SDK's retry delay of a second. */
const FAULTS = {
	'its connection was cut': { from: ({ proxy }) => proxy, lose: ({ proxy }) => proxy.cut() },
	'its connection was reset': { from: ({ proxy }) => proxy, lose: ({ proxy }) => proxy.reset() },
	'new connections hung for three seconds': {
		from: ({ proxy }) => proxy,
		async lose({ proxy }) {
			proxy.stall();
			proxy.cut();
			await until(() => proxy.waiting > 0, 'the page to try again');
		},
		async find({ proxy }) {
			await sleep(2_000);
			proxy.pass();
		},
	},
	'the server was ended and started again': { from: ({ server }) => server, lose: ({ server }) => server.restart() },
	'the server put itself anew on SIGHUP': { from: ({ server }) => server, lose: ({ server }) => server.reexecute() },
};

/** Waits until the page has answered the ping after the last message: the server then knows that it was received. */
async function confirmed(chat) {
	const types = () => chat.socket.received.map(({ type }) => type);
	const answered = () => types().at(-1) === 'ping' && chat.sent('pong').length === chat.received('ping').length;
	// Before the sign-in, the browser answers pings on its own, and the page's frames do not show it.
	const visitor = () => !types().includes('auth');
	await chat.window.until(() => answered() || visitor(), 'the page to confirm what it has');
	await sleep(100);
}

for (const sdk of ['sdk-26', 'sdk-21']) {
	describe(`missed messages on the tutorial's page with ${sdk} and recover`, () => {
		let browser, here;
		let failed = false;

		before(async () => {
			const server = await Server.start({ demo: true, publicDirectory: await buildPage(sdk, withRecover) });
			const administrator = await Administrator.signIn(server);
			const people = { alice: await administrator.person('Alice'), bob: await administrator.person('Bob') };
			here = { server, proxy: await Proxy.start(server.port), ...people };
			browser = await launchBrowser();
		});
		after(async () => {
			await browser?.close();
			await here?.proxy.stop();
			await here?.server.dispose(failed);
		});
		afterEach(async (t) => {
			failed ||= t.passed === false;
			await Window.closeAll(t);
		});

		for (const [page, reloaded] of [['a page that was reloaded', true], ['a page freshly signed in', false]]) {
			for (const [fault, { from, lose, find = () => {} }] of Object.entries(FAULTS)) {
				test(`${page} shows every message once although ${fault}`, async () => {
					const name = `${reloaded ? 'reloaded' : 'fresh'}, ${fault}`;
					const chat = await TutorialPage.signedIn(browser, from(here).origin, here.alice);
					if (reloaded) await chat.reload();
					const lines = [];
					const write = async (text) => {
						await here.bob.rest.post(`${name}: ${text}`);
						lines.push(`Bob: ${name}: ${text}`);
					};
					for (const round of [1, 2]) {
						await write(`before ${round}`);
						await chat.seesOnce(lines.at(-1));
						await confirmed(chat);
						const { connections } = chat;

						await lose(here);
						for (const number of [1, 2, 3]) await write(`missed ${number} in round ${round}`);
						await find(here);
						await chat.recovered(connections, { signsIn: reloaded });
						await write(`after ${round}`);

						await chat.sees(lines.at(-1));
						assert.equal(chat.received('subscription').find(({ event }) => event === 'init').recovered, true);
						const shown = (await chat.shown()).filter((line) => line.includes(`Bob: ${name}:`));
						assert.deepEqual(shown, lines);
					}
					chat.assertNoErrors(LOST_CONNECTION_ERRORS);
				});
			}
		}
	});
}

/** Delivers one message per task, as browsers do: the SDK listens for one at a time. */
class OneByOne extends WebSocket {
	constructor(address) {
		super(address, { allowSynchronousEvents: false });
	}
}

for (const sdk of ['sdk-26', 'sdk-21']) {
	test(`a page that reconnects with ${sdk} before sign-in receives the missed restricted messages`, async (t) => {
		const { createDirectus, realtime } = await import(sdk);
		const server = await Server.start();
		t.after(() => server.dispose(t.passed === false));
		const proxy = await Proxy.start(server.port);
		t.after(() => proxy.stop());
		const administrator = await Administrator.signIn(server);
		const [alice, bob] = [await administrator.member('Alice'), await administrator.member('Bob')];
		const permissions = { content: { _starts_with: 'open' } };
		const policy = await administrator.publicPolicy();
		await administrator.data('POST', '/permissions', { policy, collection: 'messages', action: 'read', fields: ['*'], permissions });
		const client = createDirectus(proxy.origin, { globals: { WebSocket: OneByOne } }).with(realtime({ authMode: 'public' }));
		t.after(() => client.disconnect());
		const frames = [];
		client.onWebSocket('message', (frame) => frames.push(frame));
		const count = (fits) => frames.filter(fits).length;
		const signIn = async () => {
			const before = count(({ status }) => status === 'ok');
			client.sendMessage({ type: 'auth', access_token: alice.token });
			await until(() => count(({ status }) => status === 'ok') > before, 'the sign-in');
		};
		await client.connect();
		await signIn();
		const { subscription } = await client.subscribe('messages', { event: 'create', query: { fields: ['content'] }, uid: 'chat', recover: randomUUID() });
		const shown = [];
		(async () => {
			for await (const { data } of subscription) shown.push(...(data ?? []).map(({ content }) => content));
		})();
		await until(() => count(({ event }) => event === 'init') > 0, 'the subscription');
		await bob.rest.post('before');
		await until(() => shown.includes('before'), 'what is told at once');

		proxy.cut();
		for (const content of ['members 1', 'open 2', 'members 3']) await bob.rest.post(content);
		await until(() => shown.includes('open 2'), 'what the public may see');
		assert.ok(!shown.includes('members 1'));
		await signIn();
		await bob.rest.post('members 4');

		await until(() => shown.includes('members 4'), 'the news');
		const missed = shown.filter((content) => content !== 'before');
		assert.deepEqual(missed, ['open 2', 'members 1', 'members 3', 'members 4']);
	});
}
