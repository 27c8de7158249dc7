// Behind nginx with TLS, configured with the lines of the README: the same service, with secure cookies, over wss, through
// restarts; clients cannot spoof their address.
import assert from 'node:assert/strict';
import https from 'node:https';
import { after, afterEach, before, test } from 'node:test';
import { launchBrowser, Window } from '../lib/browser.mjs';
import { ChatPage } from '../lib/chat_page.mjs';
import { Nginx } from '../lib/nginx.mjs';
import { freePort } from '../lib/ports.mjs';
import { Administrator } from '../lib/rest.mjs';
import { Server } from '../lib/server.mjs';

let browser, server, nginx, alice, bob;
let failed = false;

before(async () => {
	const port = await freePort();
	nginx = await Nginx.start(port);
	const env = { PUBLIC_URL: nginx.origin, IP_TRUST_PROXY: 'loopback', SESSION_COOKIE_SECURE: 'true', REFRESH_TOKEN_COOKIE_SECURE: 'true', HSTS_ENABLED: 'true' };
	server = await Server.start({ port, env });
	const administrator = await Administrator.signIn(server);
	[alice, bob] = [await administrator.member('Alice'), await administrator.member('Bob')];
	browser = await launchBrowser();
});
after(async () => {
	await browser?.close();
	await nginx?.stop();
	await server?.dispose(failed);
});
afterEach(async (t) => {
	failed ||= t.passed === false;
	await Window.closeAll(t);
});

/** Sends a request through nginx from an address of this machine; returns the parsed response. */
function ask(method, path, { body, headers = {}, localAddress } = {}) {
	const options = { method, localAddress, rejectUnauthorized: false, headers: { 'content-type': 'application/json', ...headers } };
	return new Promise((resolve, reject) => {
		const request = https.request(`https://127.0.0.1:${nginx.port}${path}`, options, (answer) => {
			let text = '';
			answer.setEncoding('utf8').on('data', (part) => (text += part));
			answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, data: text && JSON.parse(text).data }));
		});
		request.on('error', reject);
		request.end(body && JSON.stringify(body));
	});
}

test('two users chat over TLS with secure cookies, also after a restart', async () => {
	const open = (person) => ChatPage.signedIn(browser, nginx.origin, person, { ignoreHTTPSErrors: true });
	const [one, other] = [await open(alice), await open(bob)];

	await one.send('through the proxy');
	await other.sees('through the proxy');
	await server.restart();
	for (const chat of [one, other]) {
		await chat.window.until(() => chat.window.handshakes === 2, 'another socket', { ms: 30_000 });
		await chat.connected(30_000);
	}
	await other.send('and after the restart');
	await one.sees('and after the restart');

	for (const { window } of [one, other]) {
		assert.match(window.socket.url, /^wss:/);
		const cookies = await window.context.cookies();
		assert.ok(cookies.length > 0);
		for (const cookie of cookies) assert.equal(cookie.secure, true, `${cookie.name} is sent without TLS`);
	}
});

test('a client cannot spoof its address behind the proxy', async () => {
	const headers = { 'x-forwarded-for': '203.0.113.9' };
	const signedIn = await ask('POST', '/auth/login', { body: { email: alice.email, password: alice.password }, headers, localAddress: '127.0.0.2' });
	assert.equal(signedIn.status, 200);

	const sessions = await ask('GET', '/users/me/sessions', { headers: { authorization: `Bearer ${signedIn.data.access_token}` } });

	const current = sessions.data.find(({ current }) => current);
	assert.equal(current.ip, '127.0.0.2');
	assert.match(signedIn.headers['strict-transport-security'], /max-age=/);
});
