// The tutorial's section "Handling Connection Stability", taken literally: after any connection fault, the page reconnects
// without human action, shows the messages of others, and can send.
//
// The SDK always behaves the same: a second after the loss it reconnects and repeats its subscription twice. A reloaded page
// signs in first, with the refresh token it was loaded with. A page that signed in with a typed password does not sign in
// again: it has public access from then on, which `--demo` calls Guest, until it is reloaded.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { launchBrowser, Window } from '../lib/browser.mjs';
import { buildPage } from '../lib/build_page.mjs';
import { Proxy } from '../lib/proxy.mjs';
import { Administrator } from '../lib/rest.mjs';
import { Server } from '../lib/server.mjs';
import { LOST_CONNECTION_ERRORS, TutorialPage } from '../lib/tutorial_page.mjs';
import { sleep, until } from '../lib/wait.mjs';

/** A server with two accounts, and a proxy in front of it. */
async function stage(options) {
	const server = await Server.start({ demo: true, ...options });
	const administrator = await Administrator.signIn(server);
	const people = { alice: await administrator.person('Alice'), bob: await administrator.person('Bob') };
	await people.bob.rest.post('there is a history');
	return { server, proxy: await Proxy.start(server.port), ...people };
}

/** The origin of the page, and the fault injected into its connection. */
const FAULTS = {
	'its connection was cut': { on: 'plain', from: ({ proxy }) => proxy, cause: ({ proxy }) => proxy.cut() },
	'its connection was reset': { on: 'plain', from: ({ proxy }) => proxy, cause: ({ proxy }) => proxy.reset() },
	'new connections hung for three seconds': {
		on: 'plain',
		from: ({ proxy }) => proxy,
		async cause({ proxy }) {
			proxy.stall();
			proxy.cut();
			await until(() => proxy.waiting > 0, 'the page to try again');
			await sleep(3_000);
			proxy.pass();
		},
	},
	'a supervisor replaced the server': { on: 'held', from: ({ server }) => server, cause: ({ server }) => server.replace() },
	'the server put itself anew on SIGHUP': { on: 'plain', from: ({ server }) => server, cause: ({ server }) => server.reexecute() },
	'the server was ended and started again': { on: 'plain', from: ({ server }) => server, cause: ({ server }) => server.restart() },
};

const PAGES = {
	'a page that was reloaded': { reloaded: true, author: 'Alice' },
	'a page freshly signed in': { reloaded: false, author: 'Guest' },
};

for (const sdk of ['sdk-26', 'sdk-21']) {
	describe(`recovery of the tutorial's page with ${sdk}`, () => {
		let browser;
		let failed = false;
		const stages = {};

		before(async () => {
			const publicDirectory = await buildPage(sdk);
			stages.plain = await stage({ publicDirectory });
			stages.held = await stage({ publicDirectory, held: true });
			browser = await launchBrowser();
		});
		after(async () => {
			await browser?.close();
			for (const { server, proxy } of Object.values(stages)) {
				await proxy.stop();
				await server.dispose(failed);
			}
		});
		afterEach(async (t) => {
			failed ||= t.passed === false;
			await Window.closeAll(t);
		});

		/** Another user writes, then the page; both messages are shown once. Returns the page's stored row. */
		async function talk(chat, { bob }, author, name) {
			await bob.rest.post(`from bob, ${name}`);
			await chat.seesOnce(`Bob: from bob, ${name}`);
			await chat.send(`from the page, ${name}`);
			await chat.seesOnce(`${author}: from the page, ${name}`);
			const rows = (await bob.rest.allMessages('id,content,user_created')).filter(({ content }) => content === `from the page, ${name}`);
			assert.equal(rows.length, 1, 'what the page wrote is stored once');
			return rows[0];
		}

		for (const [page, { reloaded, author }] of Object.entries(PAGES)) {
			for (const [fault, { on, from, cause }] of Object.entries(FAULTS)) {
				test(`${page} recovers after ${fault}`, async () => {
					const here = stages[on];
					const name = `${reloaded ? 'reloaded' : 'fresh'} page, ${fault}`;
					const chat = await TutorialPage.signedIn(browser, from(here).origin, here.alice);
					if (reloaded) await chat.reload();
					await talk(chat, here, 'Alice', `${name}, before`);
					const { connections } = chat;
					const loaded = chat.socket.sent[0].refresh_token;

					await cause(here);
					await chat.recovered(connections, { signsIn: reloaded });

					const types = chat.socket.sent.map(({ type }) => type);
					assert.deepEqual(types, reloaded ? ['auth', 'subscribe', 'subscribe'] : ['subscribe', 'subscribe']);
					if (reloaded) assert.equal(chat.socket.sent[0].refresh_token, loaded, 'the SDK signs in with the token of the page load');
					const row = await talk(chat, here, author, `${name}, after`);
					if (reloaded) assert.equal(row.user_created, here.alice.id);
					assert.equal(chat.connections, connections + 1, 'one new connection is enough');

					// The stored refresh token is still valid, and so is its successor.
					for (const round of [1, 2]) {
						await chat.reload();
						await talk(chat, here, 'Alice', `${name}, after reload ${round}`);
					}
					chat.assertNoErrors(LOST_CONNECTION_ERRORS);
				});
			}
		}

		test('a reloaded page recovers three times in a row', async () => {
			const here = stages.plain;
			const chat = await TutorialPage.signedIn(browser, here.proxy.origin, here.alice);
			await chat.reload();

			for (const round of [1, 2, 3]) {
				const { connections } = chat;
				here.proxy.cut();
				await chat.recovered(connections, { signsIn: true });
				await talk(chat, here, 'Alice', `cut ${round}`);
			}

			await chat.reload();
			await talk(chat, here, 'Alice', 'after three cuts');
			chat.assertNoErrors(LOST_CONNECTION_ERRORS);
		});
	});
}
