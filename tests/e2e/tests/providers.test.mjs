// Sign-in with a real OpenID provider in Chromium: from a page of the server to the provider's pages and back, and then with
// the unmodified SDK, which uses the session cookie.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { launchBrowser, Window } from '../lib/browser.mjs';
import { IdentityProvider } from '../lib/identity_provider.mjs';
import { freePort } from '../lib/ports.mjs';
import { Administrator } from '../lib/rest.mjs';
import { freshDirectory, Server } from '../lib/server.mjs';
import { bundle } from '../lib/site.mjs';

let browser, provider, front, port;
const servers = new Set();
let failed = false;

before(async () => {
	browser = await launchBrowser();
	port = await freePort();
	provider = await IdentityProvider.start({ callbacks: [`http://127.0.0.1:${port}/auth/login/idp/callback`] });
	front = freshDirectory();
	writeFileSync(path.join(front, 'index.html'), '<!doctype html><title>Front</title><link rel="icon" href="data:,"><script src="/sdk.js"></script>');
	writeFileSync(path.join(front, 'sdk.js'), await bundle('sdk-26'));
});
after(async () => {
	await browser?.close();
	await provider?.stop();
	await Promise.all([...servers].map((server) => server.dispose(failed)));
});
afterEach(async (t) => {
	failed ||= t.passed === false;
	await Window.closeAll(t);
	await Promise.all([...servers].map((server) => server.end()));
});

/** A server on the port that the provider knows, with a page that includes the SDK. */
async function service(more) {
	const env = { PUBLIC_URL: `http://127.0.0.1:${port}`, ...provider.settings(more) };
	const server = await Server.start({ port, env, publicDirectory: front });
	servers.add(server);
	return server;
}

/** A window that blocks requests beyond this machine: the provider's pages request a font. */
async function window() {
	const opened = await Window.open(browser);
	await opened.context.route((url) => url.hostname !== '127.0.0.1', (route) => route.abort());
	return opened;
}

/** Results of the SDK with the cookie's session. */
function withSdk(page) {
	return page.evaluate(async () => {
		const { authentication, createDirectus, readMe, refresh, rest } = globalThis.sdk;
		const client = createDirectus(location.origin)
			.with(authentication('session', { credentials: 'include' }))
			.with(rest({ credentials: 'include' }));
		const me = await client.request(readMe());
		await client.request(refresh({ mode: 'session' }));
		const again = await client.request(readMe());
		await client.logout();
		const gone = await client.request(readMe()).then(
			() => 'still there',
			(error) => error.errors?.[0]?.extensions?.code,
		);
		return { me, again, gone };
	});
}

describe('with an OpenID provider', () => {
	test('a page signs in through the provider, and the SDK uses the session', async () => {
		const server = await service({ AUTH_IDP_ALLOW_PUBLIC_REGISTRATION: 'true', AUTH_IDP_LABEL: 'Our Provider' });
		const { page, context } = await window();
		await page.goto(server.origin);
		const listed = await page.evaluate(async () => (await fetch('/auth')).json());
		assert.deepEqual(listed, { data: [{ name: 'idp', label: 'Our Provider', driver: 'openid', icon: 'account_circle' }], disableDefault: false });

		await page.goto(`${server.origin}/auth/login/idp?redirect=${encodeURIComponent('/room')}`);
		await provider.signIn(page, 'ada');
		await page.waitForURL(`${server.origin}/room`);

		assert.deepEqual(provider.refusals, []);
		const cookies = (await context.cookies(server.origin)).filter(({ name }) => !name.startsWith('_'));
		assert.deepEqual(
			cookies.map(({ name, httpOnly, sameSite }) => ({ name, httpOnly, sameSite })),
			[{ name: 'directus_session_token', httpOnly: true, sameSite: 'Lax' }],
		);
		const { me, again, gone } = await withSdk(page);
		// Without a role she can read only her own key.
		const administrator = await Administrator.signIn(server);
		const { email, first_name, provider: by, external_identifier } = await administrator.data('GET', `/users/${me.id}`);
		assert.deepEqual({ email, first_name, by, external_identifier }, { email: 'ada@example.com', first_name: 'ada', by: 'idp', external_identifier: 'ada' });
		assert.equal(again.id, me.id);
		assert.ok(['FORBIDDEN', 'INVALID_CREDENTIALS'].includes(gone), gone);

		// The provider still has her session: this time no page asks for input, and the account is the same.
		await page.goto(`${server.origin}/auth/login/idp?redirect=/room`);
		await page.waitForURL(`${server.origin}/room`);
		assert.equal((await withSdk(page)).me.id, me.id);
	});

	test('a user without an account returns with the reason', async () => {
		const server = await service();
		const administrator = await Administrator.signIn(server);
		const { page } = await window();

		await page.goto(`${server.origin}/auth/login/idp?redirect=/room`);
		await provider.signIn(page, 'bob');
		await page.waitForURL(`${server.origin}/room?reason=INVALID_CREDENTIALS`);
		const bob = await administrator.data('POST', '/users', { email: 'bob@example.com', provider: 'idp', external_identifier: 'bob' });
		await page.goto(`${server.origin}/auth/login/idp?redirect=/room`);
		await page.waitForURL(`${server.origin}/room`);

		assert.equal((await withSdk(page)).me.id, bob.id);
		assert.doesNotMatch(server.log, /bob@example\.com|code=|state=/, 'neither addresses nor codes are in the log');
	});
});
