// The built-in chat page at `/` in Chromium, used by two people, with mouse and keyboard, on a phone and in dark mode, with
// network failures; it sends no requests to other origins.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { launchBrowser, Window } from '../lib/browser.mjs';
import { ChatPage, NO_NETWORK, WRONG_PASSWORD } from '../lib/chat_page.mjs';
import { Proxy } from '../lib/proxy.mjs';
import { Administrator } from '../lib/rest.mjs';
import { Server } from '../lib/server.mjs';
import { artifact } from '../lib/paths.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const MARKUP = '<script>window.executed = 1</script><img src="x:" onerror="window.executed = 2"><b>bold</b> &amp;';

let browser, server, proxy, administrator, alice, bob;
let failed = false;
const open = (options) => ChatPage.open(browser, server.origin, options);
const signedIn = (person, options) => ChatPage.signedIn(browser, server.origin, person, options);

before(async () => {
	server = await Server.start();
	proxy = await Proxy.start(server.port);
	administrator = await Administrator.signIn(server);
	[alice, bob] = [await administrator.member('Alice'), await administrator.member('Bob')];
	browser = await launchBrowser();
});
after(async () => {
	await browser?.close();
	await proxy?.stop();
	await server?.dispose(failed);
});
afterEach(async (t) => {
	failed ||= t.passed === false;
	await Window.closeAll(t);
});

test('sign-in opens the chat, and scripts cannot read the session cookie', async () => {
	const chat = await open();
	await chat.form.waitFor();

	await chat.signIn(alice);
	await chat.connected();

	assert.equal(await chat.form.isVisible(), false);
	assert.equal(await chat.composer.isEnabled(), true);
	const readable = await chat.page.evaluate(() => JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }, location.href]));
	for (const cookie of await chat.window.context.cookies()) {
		assert.equal(cookie.httpOnly, true, `${cookie.name} can be read by scripts`);
		assert.equal(readable.includes(cookie.value), false);
	}
	await chat.page.reload();
	await chat.connected();
	chat.assertClean();
});

test('a wrong password is explained, and the right one then works', async () => {
	const chat = await open();

	await chat.signIn({ ...alice, password: 'not the password' });
	await chat.error.filter({ hasText: /\S/ }).waitFor();

	assert.equal(await chat.form.isVisible(), true);
	await chat.signIn(alice);
	await chat.connected();
	chat.assertClean([WRONG_PASSWORD]);
});

test('the history is shown in order, and earlier messages load on demand', async () => {
	const texts = Array.from({ length: 70 }, (_, index) => `history ${index + 1}`);
	for (const text of texts) await bob.rest.post(text);

	const chat = await signedIn(alice);

	await chat.sees('history 70');
	const first = await chat.texts();
	assert.ok(first.length >= 10 && first.length < 70, `a part of the history, not ${first.length} messages`);
	assert.deepEqual(first, texts.slice(-first.length));
	// Not with the mouse: scrolling also loads earlier messages, and moves the button away.
	await chat.loadEarlier.dispatchEvent('click');
	await chat.sees('history 1');
	assert.deepEqual((await chat.texts()).filter((text) => text.startsWith('history')), texts);
	assert.deepEqual(new Set((await chat.shown()).map(({ author }) => author)), new Set(['Bob']));
	chat.assertClean();
});

test('two users talk, and each message has its author', async () => {
	const [hers, his] = [await signedIn(alice), await signedIn(bob)];

	await hers.send('anybody here?');
	const question = await his.sees('anybody here?');
	await his.send('yes, me');
	const answer = await hers.sees('yes, me');

	assert.deepEqual([question.author, question.own], ['Alice', false]);
	assert.deepEqual([answer.author, answer.own], ['Bob', false]);
	assert.equal((await hers.sees('anybody here?')).own, true);
	assert.deepEqual((await hers.texts()).slice(-2), ['anybody here?', 'yes, me']);
	assert.deepEqual((await his.texts()).slice(-2), ['anybody here?', 'yes, me']);
	assert.equal(await hers.composer.inputValue(), '');
	hers.assertClean();
	his.assertClean();
});

test('an edit changes the message in place for every user', async () => {
	const [hers, his] = [await signedIn(alice), await signedIn(bob)];
	await hers.send('a tpyo');
	const { id } = await his.sees('a tpyo');
	await hers.sees('a tpyo');

	await hers.message(id).hover();
	await hers.message(id).getByTestId('edit').click();
	await hers.page.getByTestId('edit-input').fill('no typo');
	await hers.page.getByTestId('edit-save').click();

	for (const chat of [hers, his]) {
		assert.equal((await chat.sees('no typo')).id, id);
		await chat.misses('a tpyo');
	}
	assert.equal((await administrator.data('GET', `/items/messages/${id}`)).content, 'no typo');
	hers.assertClean();
	his.assertClean();
});

test('a deletion asks for confirmation and removes the message for every user', async () => {
	const [hers, his] = [await signedIn(alice), await signedIn(bob)];
	await hers.send('to be deleted');
	const { id } = await his.sees('to be deleted');
	await hers.sees('to be deleted');

	await hers.message(id).hover();
	await hers.message(id).getByTestId('delete').click();
	await hers.page.getByTestId('delete-confirm').waitFor();
	assert.equal((await administrator.call('GET', `/items/messages/${id}`)).status, 200, 'nothing is deleted before the confirmation');
	await hers.page.getByTestId('delete-confirm').click();

	await hers.misses('to be deleted');
	await his.misses('to be deleted');
	assert.deepEqual((await administrator.allMessages()).filter((message) => message.id === id), []);
	hers.assertClean();
	his.assertClean();
});

test('messages of other users can be neither edited nor deleted', async () => {
	const { id } = await bob.rest.post("hands off, it is Bob's");
	const chat = await signedIn(alice);
	await chat.sees("hands off, it is Bob's");

	await chat.message(id).hover();

	assert.equal(await chat.message(id).getByTestId('edit').isVisible(), false);
	assert.equal(await chat.message(id).getByTestId('delete').isVisible(), false);
	chat.assertClean();
});

test('markup is shown as text and not executed', async () => {
	const [hers, his] = [await signedIn(alice), await signedIn(bob)];

	await his.send(MARKUP);
	const { id } = await hers.sees(MARKUP);
	await hers.page.reload();
	await hers.connected();
	await hers.sees(MARKUP);

	assert.equal(await hers.message(id).getByTestId('message-text').locator('*').count(), 0, 'a message became markup');
	for (const chat of [hers, his]) {
		assert.equal(await chat.page.evaluate(() => window.executed), undefined);
		chat.assertClean();
	}
});

for (const [fault, { lose, restore }] of Object.entries({
	'the network is gone for a while': { lose: () => proxy.down(), restore: () => proxy.up() },
	'the connection is reset and new ones hang': { lose: () => (proxy.stall(), proxy.reset()), restore: () => proxy.pass() },
})) {
	test(`after ${fault}, missed and new messages are shown once`, async () => {
		const chat = await ChatPage.signedIn(browser, proxy.origin, alice);
		await bob.rest.post(`before: ${fault}`);
		await chat.sees(`before: ${fault}`);

		await lose();
		await chat.disconnected();
		const missed = [1, 2, 3].map((number) => `missed ${number}: ${fault}`);
		for (const text of missed) await bob.rest.post(text);
		await restore();
		await chat.connected(45_000);

		for (const text of missed) await chat.sees(text);
		await bob.rest.post(`after: ${fault}`);
		await chat.sees(`after: ${fault}`);
		await chat.send(`and I: ${fault}`);
		await chat.sees(`and I: ${fault}`);
		assert.deepEqual((await chat.texts()).filter((text) => text.endsWith(fault)), [`before: ${fault}`, ...missed, `after: ${fault}`, `and I: ${fault}`]);
		chat.assertClean(NO_NETWORK);
	});
}

test('sign-out ends the session on the server', async () => {
	const chat = await signedIn(alice);
	const cookies = await chat.window.context.cookies();
	const header = { cookie: cookies.map(({ name, value }) => `${name}=${value}`).join('; ') };
	assert.equal((await fetch(`${server.origin}/users/me`, { headers: header })).status, 200, 'the copied cookie is good before');

	await chat.logout.click();
	await chat.form.waitFor();

	assert.deepEqual((await chat.window.context.cookies()).filter(({ value }) => value !== ''), []);
	assert.equal((await fetch(`${server.origin}/users/me`, { headers: header })).status, 401, 'the copied cookie is still good');
	await chat.page.reload();
	await chat.form.waitFor();
	chat.assertClean();
});

test('a slow sign-out is not reported as an expired session', async () => {
	const chat = await signedIn(alice);
	await chat.page.route('**/auth/logout', async (route) => {
		const response = await route.fetch();
		await delay(3_000);
		await route.fulfill({ response });
	});

	// A second click while the first one is answered is none.
	await chat.logout.dblclick();
	await chat.form.waitFor();

	assert.equal(await chat.page.locator('#login-note').textContent(), 'You are signed out.');
	chat.assertClean();
});

test('a failed sign-out is reported, and the chat continues', async () => {
	const chat = await signedIn(alice);
	await chat.page.route('**/auth/logout', (route) => route.abort());

	await chat.logout.dblclick();
	await chat.page.getByText('You are still signed in.').waitFor();

	await chat.connected();
	await bob.rest.post('after a failed sign-out');
	await chat.sees('after a failed sign-out');
	assert.equal(await chat.page.getByText('You are still signed in.').isVisible(), true);
	await chat.send('I go on');
	await chat.sees('I go on');
	assert.equal(await chat.page.getByText('You are still signed in.').isVisible(), false);
	chat.assertClean(NO_NETWORK);
});

test('sign-in and writing work with the keyboard alone', async () => {
	const chat = await open();
	const { keyboard } = chat.page;
	await chat.form.waitFor();
	await chat.email.focus();

	await keyboard.type(alice.email);
	await keyboard.press('Tab');
	await keyboard.type(alice.password);
	await keyboard.press('Enter');
	await chat.connected();
	await keyboard.type('written without a mouse');
	await keyboard.press('Enter');

	await chat.sees('written without a mouse');
	chat.assertClean();
});

for (const colorScheme of ['light', 'dark']) {
	test(`the layout fits a phone of 360 pixels, ${colorScheme}`, async () => {
		const chat = await open({ viewport: { width: 360, height: 740 }, colorScheme, hasTouch: true, isMobile: true });
		const overflow = () => chat.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

		await chat.form.waitFor();
		assert.equal(await overflow(), 0, 'the sign-in form is wider than the phone');
		await chat.window.screenshot(`phone-${colorScheme}-sign-in.png`);
		await chat.signIn(alice);
		await chat.connected();
		await chat.send(`a${'long'.repeat(60)}word, ${colorScheme}`);
		await chat.sees(`a${'long'.repeat(60)}word, ${colorScheme}`);
		assert.equal(await overflow(), 0, 'the chat is wider than the phone');
		await chat.window.screenshot(`phone-${colorScheme}-chat.png`);
		chat.assertClean();
	});

	test(`axe finds no serious violations, ${colorScheme}`, async () => {
		const chat = await open({ colorScheme });
		const violations = async () => {
			await chat.page.evaluate(AXE);
			const { violations: found, passes } = await chat.page.evaluate(() => window.axe.run(document));
			assert.ok(passes.some(({ id }) => id === 'color-contrast'), 'the checker did not look at the colours');
			return found.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.map(({ html, failureSummary }) => ({ html, failureSummary })) }));
		};

		await chat.form.waitFor();
		assert.deepEqual(await violations(), [], 'the sign-in form');
		await chat.signIn(alice);
		await chat.connected();
		await chat.send(`something to look at, ${colorScheme}`);
		const { id } = await chat.sees(`something to look at, ${colorScheme}`);
		await chat.message(id).hover();
		await chat.page.screenshot({ path: artifact(`desktop-${colorScheme}-chat.png`) });
		assert.deepEqual(await violations(), [], 'the chat');
		chat.assertClean();
	});
}

test('the page shows the project name as text', async () => {
	const chat = await open();
	await chat.form.waitFor();
	assert.equal(await chat.page.getByTestId('brand').textContent(), 'chinwag');
	assert.equal(await chat.page.title(), 'chinwag');

	await administrator.data('PATCH', '/settings', { project_name: MARKUP });
	try {
		await chat.page.reload();
		await chat.form.waitFor();
		assert.equal(await chat.page.getByTestId('brand').textContent(), MARKUP);
		await chat.signIn(alice);
		await chat.connected();
		await chat.page.reload();
		await chat.connected();
		assert.equal(await chat.page.getByTestId('brand').textContent(), MARKUP);
		assert.equal(await chat.page.title(), MARKUP);
		assert.equal(await chat.page.evaluate(() => window.executed), undefined);
	} finally {
		await administrator.data('PATCH', '/settings', { project_name: null });
	}
	chat.assertClean();
});

test('the page reports a disabled socket and stops retrying', async (t) => {
	const silent = await Server.start({ env: { WEBSOCKETS_ENABLED: 'false', PROJECT_NAME: 'Our silent chat' } });
	t.after(() => silent.dispose(t.passed === false));
	const person = await (await Administrator.signIn(silent)).member('Carol');
	const chat = await ChatPage.open(browser, silent.origin);
	await chat.signIn(person);

	await chat.page.locator('[data-testid=status][data-state=closed]').waitFor();

	await chat.page.getByText('Live chat is switched off on this server.').waitFor();
	assert.equal(await chat.composer.isEnabled(), false);
	assert.equal(await chat.page.title(), 'Our silent chat');
	// When the user returned to the tab, the page would retry at once.
	const tries = chat.window.sockets.length;
	assert.ok(tries >= 1 && tries <= 2, `${tries} sockets`);
	await chat.page.evaluate(() => dispatchEvent(new Event('online')));
	await chat.page.getByTestId('who').click();
	await chat.page.getByTestId('account').waitFor();
	assert.equal(chat.window.sockets.length, tries);
	chat.assertClean([/^console: WebSocket connection to '[^']*' failed: /]);
});

test('the page has a strict content security policy', async () => {
	const answer = await fetch(server.origin);
	const policy = answer.headers.get('content-security-policy') ?? '';

	assert.match(policy, /default-src 'self'|default-src 'none'/);
	assert.doesNotMatch(policy, /unsafe-eval|\*/);
	assert.doesNotMatch(policy.match(/script-src[^;]*/)?.[0] ?? '', /unsafe-inline/);
	assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
});
