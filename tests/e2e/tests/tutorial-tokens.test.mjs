// The tutorial's page with `recover` and a token that became invalid: renewed elsewhere, its session ended or expired. The
// page does not know that, and the SDK signs in again with the token of the page load, in vain. The page continues with
// public access, which `--demo` calls Guest, and still shows every message, once and in order.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { launchBrowser, Window } from '../lib/browser.mjs';
import { buildPage, withRecover } from '../lib/build_page.mjs';
import { Proxy } from '../lib/proxy.mjs';
import { Administrator, Rest } from '../lib/rest.mjs';
import { Server } from '../lib/server.mjs';
import { LOST_CONNECTION_ERRORS, TutorialPage } from '../lib/tutorial_page.mjs';

/** Lifetime of sessions that expire in a test: longer than signing in and reloading takes. */
const SHORT_SESSION = '8s';

/** Renews a token, like another window that shares the storage. */
const renew = async ({ server }, refresh_token) => (await new Rest(server.origin).data('POST', '/auth/refresh', { refresh_token, mode: 'json' })).refresh_token;

/** The change to the token while the page is open, and whether the page is notified at once. */
const EVENTS = {
	'its token was renewed twice elsewhere': {
		async cause(here, chat) {
			await renew(here, await renew(here, await chat.storedToken()));
		},
	},
	'its session was ended elsewhere': {
		cause: async ({ server }, chat) => new Rest(server.origin).data('POST', '/auth/logout', { refresh_token: await chat.storedToken(), mode: 'json' }),
		isTold: true,
	},
	'its session expired': { on: 'short', cause: () => {}, isTold: true },
};

for (const sdk of ['sdk-26', 'sdk-21']) {
	describe(`the tutorial's page with ${sdk} and recover after its token became invalid`, () => {
		let browser;
		let failed = false;
		const stages = {};

		before(async () => {
			const publicDirectory = await buildPage(sdk, withRecover);
			for (const [name, env] of Object.entries({ long: {}, short: { REFRESH_TOKEN_TTL: SHORT_SESSION, ACCESS_TOKEN_TTL: SHORT_SESSION } })) {
				const server = await Server.start({ demo: true, publicDirectory, env });
				const administrator = await Administrator.signIn(server);
				stages[name] = { server, proxy: await Proxy.start(server.port), alice: await administrator.person('Alice'), bob: await administrator.person('Bob') };
			}
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

		for (const [event, { on = 'long', cause, isTold = false }] of Object.entries(EVENTS)) {
			test(`shows every message once although ${event}`, async () => {
				const here = stages[on];
				const chat = await TutorialPage.signedIn(browser, here.proxy.origin, here.alice);
				await chat.reload();
				const lines = [];
				const write = async (text) => {
					await here.bob.rest.post(`${event}: ${text}`);
					lines.push(`Bob: ${event}: ${text}`);
				};
				await write('before');
				await chat.seesOnce(lines.at(-1));

				await cause(here, chat);
				if (isTold) await chat.window.until(() => chat.received('auth').some(({ status }) => status === 'error'), 'the page to be told', { ms: 30_000 });
				await write('on the same connection');
				await chat.seesOnce(lines.at(-1));

				for (const round of [1, 2]) {
					const { connections } = chat;
					here.proxy.cut();
					for (const number of [1, 2, 3]) await write(`missed ${number} in round ${round}`);
					await chat.recovered(connections, { signsIn: false });
					await chat.window.until(() => chat.received('auth').some(({ status }) => status === 'error'), 'the sign-in to be refused');
					await write(`after round ${round}`);
					await chat.sees(lines.at(-1));
				}
				const text = `${event}: from the page`;
				await chat.send(text);
				lines.push(`Guest: ${text}`);
				await chat.sees(lines.at(-1));

				const shown = (await chat.shown()).filter((line) => line.includes(`${event}: `));
				assert.deepEqual(shown, lines);
				chat.assertNoErrors(LOST_CONNECTION_ERRORS);
			});
		}
	});
}
