// Access from a page of another origin in Chromium, with a user signed in by a cookie, before and after that origin is
// allowed: with fetch, with sockets, in a frame, and with the real SDK.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { launchBrowser, Window } from '../lib/browser.mjs';
import { Administrator } from '../lib/rest.mjs';
import { Server } from '../lib/server.mjs';
import { Site } from '../lib/site.mjs';

let browser, neighbour, stranger, older;
const servers = new Set();
let failed = false;

before(async () => {
	browser = await launchBrowser();
	// On the server's host, so that browsers send its cookies; only the port differs.
	neighbour = await Site.start();
	older = await Site.start({ version: 'sdk-21' });
	// On a different host name: another site.
	stranger = await Site.start({ host: 'localhost' });
});
after(async () => {
	await browser?.close();
	await Promise.all([neighbour, stranger, older].map((site) => site?.stop()));
	await Promise.all([...servers].map((server) => server.dispose(failed)));
});
afterEach(async (t) => {
	failed ||= t.passed === false;
	await Window.closeAll(t);
});

/** A server with these settings, and an account with write access. */
async function service(env = {}, options = {}) {
	const server = await Server.start({ env, ...options });
	servers.add(server);
	const administrator = await Administrator.signIn(server);
	return { server, administrator, alice: await administrator.member('Alice') };
}

/** A window in which Alice has signed in to the server by a cookie, and then navigated to another page. */
async function visiting(site, { server, alice }) {
	const window = await Window.open(browser);
	await window.page.goto(server.origin);
	const status = await window.page.evaluate(async ({ email, password }) => {
		const headers = { 'content-type': 'application/json' };
		return (await fetch('/auth/login', { method: 'POST', headers, body: JSON.stringify({ email, password, mode: 'session' }) })).status;
	}, alice);
	assert.equal(status, 200);
	await window.page.goto(site.origin);
	return window;
}

/** Sends a request from a page: { status, json }, or 'blocked' if the browser withholds the response from the page. */
function request(window, url, options = {}) {
	return window.page.evaluate(
		async ([url, options]) => {
			try {
				const answer = await fetch(url, { credentials: 'include', ...options });
				return { type: answer.type, status: answer.status, json: await answer.json().catch(() => null), id: answer.headers.get('x-request-id') };
			} catch (error) {
				if (error instanceof TypeError) return 'blocked';
				throw error;
			}
		},
		[url, options],
	);
}

/** Opens a socket from a page, sends a frame, and returns the answer; 'refused' if the socket does not open. */
function converse(window, url, frame) {
	return window.page.evaluate(
		([url, frame]) =>
			new Promise((resolve) => {
				const socket = new WebSocket(url);
				socket.onopen = () => socket.send(JSON.stringify(frame));
				socket.onerror = () => resolve('refused');
				socket.onmessage = ({ data }) => {
					const answer = JSON.parse(data);
					if (answer.type !== 'items') return;
					socket.close();
					resolve(answer);
				};
			}),
		[url, frame],
	);
}

const write = (content) => ({ method: 'POST', headers: { 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID() }, body: JSON.stringify({ content }) });
const say = (content) => ({ type: 'items', action: 'create', collection: 'messages', data: { content }, query: { fields: ['user_created', 'content'] } });
const socketOf = (server, path = '/websocket') => server.origin.replace('http', 'ws') + path;

describe('a page of an unlisted origin', () => {
	let here;
	before(async () => (here = await service()));

	for (const which of ['neighbour', 'stranger']) {
		test(`can neither read nor write with the session cookie (${which})`, async () => {
			const { server, administrator } = here;
			const window = await visiting({ neighbour, stranger }[which], here);
			const { origin } = server;

			assert.equal(await request(window, `${origin}/users/me`), 'blocked');
			assert.equal(await request(window, `${origin}/items/messages`, write('by fetch')), 'blocked');
			assert.equal(await request(window, `${origin}/items/messages`, { method: 'SEARCH', headers: { 'content-type': 'application/json' }, body: '{}' }), 'blocked');
			assert.equal(await request(window, `${origin}/users/me/sessions`, { method: 'DELETE' }), 'blocked');
			assert.equal(await request(window, `${origin}/auth/logout`, { method: 'POST', body: '{"mode":"session"}' }), 'blocked');
			// Simple requests: browsers send them without a preflight, since a form could send them too.
			for (const type of ['text/plain', 'application/x-www-form-urlencoded']) {
				const unseen = await request(window, `${origin}/items/messages`, { method: 'POST', mode: 'no-cors', headers: { 'content-type': type }, body: '{"content":"by a form"}' });
				assert.equal(unseen.type, 'opaque');
			}

			assert.deepEqual(await administrator.allMessages(), []);
			await window.page.goto(origin);
			assert.equal((await request(window, '/users/me')).status, 200, 'she is signed in as before');
		});
	}

	test('cannot open a socket with the session cookie, and is anonymous without it', async () => {
		const { server, administrator } = here;
		const window = await visiting(neighbour, here);

		assert.equal(await converse(window, socketOf(server), say('by a socket')), 'refused');
		assert.equal(await converse(window, socketOf(server, '/_ws'), say('by a socket')), 'refused');
		// From another site the cookie is not sent at all, so the socket is anonymous.
		const elsewhere = await visiting(stranger, here);
		const answer = await converse(elsewhere, socketOf(server), say('by a socket'));
		assert.equal(answer.error?.code, 'FORBIDDEN', JSON.stringify(answer));
		assert.deepEqual(await administrator.allMessages(), []);
	});

	test('cannot show a page of the service in a frame', async () => {
		const window = await visiting(neighbour, here);

		for (const path of ['/', '/docs', '/docs/websocket', '/server/info']) {
			const shown = await window.page.evaluate(
				(url) =>
					new Promise((resolve) => {
						const frame = document.createElement('iframe');
						frame.onload = () => resolve(frame.name);
						frame.name = 'framed';
						frame.src = url;
						document.body.replaceChildren(frame);
					}),
				here.server.origin + path,
			);
			const url = window.page.frame({ name: shown })?.url() ?? window.page.frames().at(-1).url();
			assert.match(url, /^chrome-error:/, `${path} is shown`);
		}
	});
});

describe('a page of an origin that CORS_ORIGIN lists', () => {
	let here;
	before(async () => (here = await service({ CORS_ENABLED: 'true', CORS_ORIGIN: `${neighbour.origin},${older.origin}` })));

	test('reads and writes with the session cookie, by fetch and by socket', async () => {
		const { server, alice } = here;
		const window = await visiting(neighbour, here);

		const me = await request(window, `${server.origin}/users/me?fields=id`);
		assert.deepEqual({ status: me.status, data: me.json.data }, { status: 200, data: { id: alice.id } });
		assert.match(me.id, /^[0-9a-f-]{36}$/, 'it may read the id of the request');
		const written = await request(window, `${server.origin}/items/messages`, write('by fetch'));
		assert.equal(written.json.data.user_created, alice.id);
		const answer = await converse(window, socketOf(server), say('by a socket'));
		assert.deepEqual(answer.data, { user_created: alice.id, content: 'by a socket' });
		const refused = await request(window, `${server.origin}/roles`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
		assert.equal(refused.json.errors[0].extensions.code, 'FORBIDDEN', 'it may read refusals');
	});

	test('does not admit other origins', async () => {
		const { server } = here;
		const third = await Site.start();
		try {
			const window = await visiting(third, here);
			assert.equal(await request(window, `${server.origin}/users/me`), 'blocked');
			assert.equal(await request(window, `${server.origin}/items/messages`, write('by a third')), 'blocked');
			assert.equal(await converse(window, socketOf(server), say('by a third')), 'refused');
		} finally {
			await third.stop();
		}
	});

	for (const version of ['sdk-26', 'sdk-21']) {
		for (const mode of ['json', 'cookie', 'session']) {
			test(`uses ${version} as from the same origin, signed in by ${mode}`, async () => {
				const { server, alice } = here;
				const window = await Window.open(browser);
				await window.page.goto((version === 'sdk-21' ? older : neighbour).origin);

				const heard = await window.page.evaluate(useSdk, [server.origin, alice, mode, { credentials: 'include' }]);

				assert.deepEqual(heard, { me: alice.id, news: [`said in ${mode}`], found: 1, out: 'INVALID_CREDENTIALS' });
				assert.deepEqual(window.unexpectedErrors([/401/]), []);
			});
		}
	}
});

test('CORS_ORIGIN=true allows every origin, with tokens but without cookies', async () => {
	const here = await service({ CORS_ENABLED: 'true', CORS_ORIGIN: 'true' });
	const window = await visiting(neighbour, here);

	assert.equal(await request(window, `${here.server.origin}/users/me`), 'blocked');
	assert.equal(await request(window, `${here.server.origin}/items/messages`, write('by a cookie')), 'blocked');
	assert.equal(await converse(window, socketOf(here.server), say('by a cookie')), 'refused');
	// Sockets always send cookies, so this window is not signed in to the server itself.
	const fresh = await Window.open(browser);
	await fresh.page.goto(neighbour.origin);
	const heard = await fresh.page.evaluate(useSdk, [here.server.origin, here.alice, 'json', { credentials: 'omit' }]);
	assert.deepEqual(heard, { me: here.alice.id, news: ['said in json'], found: 1, out: 'INVALID_CREDENTIALS' });
});

test('a demo allows pages of this machine on every port', async () => {
	const here = await service({}, { demo: true });
	for (const site of [neighbour, stranger]) {
		const window = await visiting(site, here);
		assert.equal((await request(window, `${here.server.origin}/server/ping`)).status, 200);
		const heard = await window.page.evaluate(useSdk, [here.server.origin, here.alice, 'json', {}]);
		assert.equal(heard.me, here.alice.id);
	}
});

/** Runs in the page: signs in, subscribes, writes, searches and signs out, all with the SDK. */
async function useSdk([url, { email, password }, mode, options]) {
	const { authentication, createDirectus, createItem, readItems, readMe, realtime, rest, withSearch } = window.sdk;
	const client = createDirectus(url).with(authentication(mode, options)).with(rest(options)).with(realtime(mode === 'session' ? { authMode: 'public' } : {}));
	await client.login({ email, password });
	const me = await client.request(readMe({ fields: ['id'] }));
	await client.connect();
	const { subscription } = await client.subscribe('messages', { event: 'create', query: { fields: ['content'] }, uid: 'here' });
	const news = [];
	const content = `said in ${mode}`;
	const heard = (async () => {
		for await (const { event, data } of subscription) {
			if (event === 'init') written = client.request(createItem('messages', { content }));
			else if (event === 'create') return news.push(...data.map((item) => item.content));
		}
	})();
	let written = null;
	await heard;
	await written;
	const found = await client.request(withSearch(readItems('messages', { filter: { content: { _eq: content } }, limit: 1 })));
	client.disconnect();
	await client.logout();
	const out = await client.request(readMe()).then(
		() => 'still signed in',
		(error) => error.errors?.[0]?.extensions?.code ?? String(error),
	);
	return { me: me.id, news, found: found.length, out };
}
