// Accounts on the built-in page, in Chromium, with a real mail server: sign-up, forgotten passwords, two-factor sign-in,
// changes of name and password, sessions, error messages, and accessibility.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, afterEach, before, describe, test } from 'node:test';
import jsqr from 'jsqr';
import { launchBrowser, Window } from '../lib/browser.mjs';
import { ChatPage } from '../lib/chat_page.mjs';
import { MailServer } from '../lib/mail.mjs';
import { freePort } from '../lib/ports.mjs';
import { Administrator, PASSWORD, Rest } from '../lib/rest.mjs';
import { Server } from '../lib/server.mjs';
import { totp } from '../lib/totp.mjs';
import { until } from '../lib/wait.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const MS = 30_000;
const NEW = 'correct horse battery';
/** The browser's own reports of the refused requests that these tests cause. */
const REFUSED = /^console: Failed to load resource: the server responded with a status of (400|401|403|429) \([^)]*\) \[\/(auth|users)\//;

let browser, server, mail, admin, anyone;
let failed = false;

before(async () => {
	mail = new MailServer(await freePort());
	await mail.start();
	const port = await freePort();
	const env = { EMAIL_TRANSPORT: 'smtp', EMAIL_SMTP_HOST: '127.0.0.1', EMAIL_SMTP_PORT: String(mail.port), EMAIL_SMTP_IGNORE_TLS: 'true', EMAIL_FROM: 'chat@example.com', PUBLIC_URL: `http://127.0.0.1:${port}`, LOGIN_STALL_TIME: '0', REGISTER_STALL_TIME: '0', PASSWORD_RESET_STALL_TIME: '0' };
	server = await Server.start({ port, env });
	admin = await Administrator.signIn(server);
	anyone = new Rest(server.origin);
	browser = await launchBrowser();
});
after(async () => {
	await browser?.close();
	await server?.dispose(failed);
	await mail?.stop();
});
afterEach(async (t) => {
	failed ||= t.passed === false;
	await Window.closeAll(t);
});

async function registration(settings) {
	const [role] = await admin.data('GET', '/roles?filter[name][_eq]=Member&fields=id&limit=1');
	await admin.data('PATCH', '/settings', { public_registration: true, public_registration_verify_email: true, public_registration_role: role.id, ...settings });
}

/** Opens the page, and adds access to more of its elements than a `ChatPage` has. */
async function open(options) {
	const chat = await ChatPage.open(browser, server.origin, options);
	await chat.form.waitFor();
	chat.at = (id) => chat.page.getByTestId(id);
	chat.says = (id, text) => chat.at(id).filter({ hasText: text }).waitFor({ timeout: MS });
	chat.press = (id) => chat.at(id).click();
	chat.type = (id, text) => chat.at(id).fill(text);
	return chat;
}

async function signedIn(person, options) {
	const chat = await open(options);
	await chat.signIn(person);
	await chat.connected(MS);
	return chat;
}

async function openAccount(chat) {
	await chat.press('who');
	await chat.at('account').waitFor();
}

/** Sets up a second factor through the page. Returns its secret and recovery codes, which are still shown. */
async function setUpFactor(chat, password = PASSWORD) {
	await chat.press('factor-begin');
	await chat.type('factor-password', password);
	await chat.press('factor-password-submit');
	await chat.at('factor-secret').waitFor();
	const secret = (await chat.at('factor-secret').textContent()).replaceAll(' ', '');
	await chat.type('factor-code', totp(secret));
	await chat.press('factor-enable');
	await chat.at('recovery').waitFor();
	return { secret, codes: await chat.at('recovery-list').locator('li').allTextContents() };
}

async function isOut(chat, note) {
	await chat.form.waitFor({ timeout: MS });
	await chat.page.getByText(note).waitFor({ timeout: MS });
}

describe('sign-up', () => {
	test('is not offered when registration is closed', async () => {
		await registration({ public_registration: false });
		const chat = await open();

		assert.equal(await chat.at('signup-link').isVisible(), false);
		await chat.page.goto(`${server.origin}/#sign-up`);
		await chat.form.waitFor();
		assert.equal(await chat.at('signup-form').isVisible(), false);
		chat.assertClean();
	});

	test('requires a confirmed email address, and explains every mistake', async () => {
		await registration({});
		const chat = await open();
		await chat.press('signup-link');

		await chat.press('signup-submit');
		await chat.says('signup-error', 'Please fill in: Your name.');
		await chat.type('signup-name', 'Carol');
		await chat.type('signup-email', 'carol');
		await chat.type('signup-password', 'short');
		await chat.press('signup-submit');
		await chat.says('signup-error', 'That is not an email address.');
		assert.equal(await chat.at('signup-email').getAttribute('aria-invalid'), 'true');
		await chat.type('signup-email', 'carol@example.com');
		await chat.press('signup-submit');
		await chat.says('signup-error', 'The password needs at least 8 characters.');
		await chat.type('signup-password', 'baseball');
		await chat.press('signup-submit');
		await chat.says('signup-error', 'one of the most common passwords');
		assert.equal(await chat.at('signup-password').evaluate((field) => field === document.activeElement), true, 'the focus is where the mistake is');
		await chat.type('signup-password', NEW);
		await chat.press('signup-submit');
		await chat.says('signup-sent', 'carol@example.com');

		await chat.press('sent-signin-link');
		await chat.signIn({ email: 'carol@example.com', password: NEW });
		await chat.says('login-error', 'Email or password is wrong.');
		const { link } = await mail.mailTo('carol@example.com');
		await chat.page.goto(link);
		await isOut(chat, 'Your address is confirmed. Sign in to begin.');
		assert.equal(chat.page.url(), `${server.origin}/`);
		await chat.signIn({ email: 'carol@example.com', password: NEW });
		await chat.connected(MS);
		assert.equal(await chat.at('who').textContent(), 'Carol');
		chat.assertClean([REFUSED]);
	});

	test('explains a used or expired link', async () => {
		const chat = await open();

		await chat.page.goto((await mail.mailTo('carol@example.com')).link);
		await chat.says('login-error', 'The link in that email is no longer valid');
		await chat.page.goto(`${server.origin}/?again#link-expired`);
		await chat.says('login-error', 'The link in that email has expired.');
		chat.assertClean();
	});

	test('needs no confirmation when it is disabled, except for a taken address', async () => {
		await registration({ public_registration_verify_email: false });
		const [first, second] = [await open(), await open()];
		for (const [chat, name, password] of [[first, 'Dave', NEW], [second, 'Not Dave', 'some other password']]) {
			await chat.press('signup-link');
			await chat.type('signup-name', name);
			await chat.type('signup-email', 'dave@example.com');
			await chat.type('signup-password', password);
			await chat.press('signup-submit');
			if (chat === first) await chat.connected(MS);
		}

		assert.equal(await first.at('who').textContent(), 'Dave');
		await second.says('signup-error', 'If you have an account with this address, sign in');
		first.assertClean();
		second.assertClean([REFUSED]);
	});

	test('is rejected for addresses that the settings exclude', async () => {
		await registration({ public_registration_email_filter: { email: { _ends_with: '@example.org' } } });
		const chat = await open();
		await chat.press('signup-link');
		await chat.type('signup-name', 'Eve');
		await chat.type('signup-email', 'eve@example.com');
		await chat.type('signup-password', NEW);
		await chat.press('signup-submit');

		await chat.says('signup-error', 'does not accept sign-ups with this address');
		await registration({ public_registration_email_filter: null });
		chat.assertClean([REFUSED]);
	});
});

describe('sign-in', () => {
	test('shows the wait time after too many attempts, and works again afterwards', async () => {
		const alice = await admin.member('Alice');
		const chat = await open();
		const errors = [{ message: 'Too many requests.', extensions: { code: 'REQUESTS_EXCEEDED' } }];
		await chat.page.route('**/auth/login', (route) => route.fulfill({ status: 429, headers: { 'Retry-After': '3' }, json: { errors } }));

		await chat.signIn(alice);
		await chat.says('login-error', 'Too many attempts. Try again in 3 seconds.');
		assert.equal(await chat.submit.isDisabled(), true);
		assert.match(await chat.submit.textContent(), /^Wait 0:0[123]$/);
		await chat.page.unroute('**/auth/login');
		await chat.says('login-error', 'You can try again now.');
		await chat.submit.click();
		await chat.connected(MS);
		chat.assertClean([REFUSED]);
	});

	test('offers the configured identity providers', async () => {
		const chat = await open();
		const offer = (disableDefault) => ({ data: [{ name: 'the club', driver: 'openid', icon: 'account_circle', label: 'The Club' }, { name: 'plain', driver: 'oauth2', icon: 'x', label: null }], disableDefault });
		await chat.page.route('**/auth', (route) => route.fulfill({ json: offer(false) }));
		await chat.page.reload();
		await chat.at('provider').first().waitFor();

		assert.deepEqual(await chat.at('provider').allTextContents(), ['Sign in with The Club', 'Sign in with plain']);
		const href = await chat.at('provider').first().evaluate((link) => link.href);
		assert.equal(href, `${server.origin}/auth/login/the%20club?redirect=${encodeURIComponent(`${server.origin}/`)}`);
		assert.equal(await chat.submit.isVisible(), true);

		await chat.page.route('**/auth', (route) => route.fulfill({ json: offer(true) }));
		for (const [reason, words] of [['INVALID_CREDENTIALS', 'there is no account here'], ['SOMETHING_NEW', 'did not work']]) {
			await chat.page.goto(`${server.origin}/?reason=${reason}`);
			await chat.says('login-error', words);
			assert.equal(chat.page.url(), `${server.origin}/`, 'a reload does not say it again');
		}
		for (const part of [chat.email, chat.password, chat.submit, chat.at('forgot-link')]) assert.equal(await part.isVisible(), false);
		assert.equal(await chat.at('provider').count(), 2);
		chat.assertClean();
	});
});

describe('a forgotten password', () => {
	test('is replaced through a link, which ends all other sessions', async () => {
		const alice = await admin.member('Alice');
		const [chat, elsewhere] = [await open(), await signedIn(alice)];
		await chat.press('forgot-link');
		await chat.type('ask-email', alice.email);
		await chat.press('ask-submit');
		await chat.says('asked', alice.email);
		const { link } = await mail.mailTo(alice.email);

		await chat.page.goto(link);
		await chat.at('password-form').waitFor();
		assert.equal(chat.page.url(), `${server.origin}/admin/reset-password`, 'the token is not in the address');
		await chat.type('password', NEW);
		await chat.type('password-again', 'something else');
		await chat.press('password-submit');
		await chat.says('password-error', 'The two passwords are not the same.');
		for (const [wrong, words] of [['short', 'at least 8 characters'], ['baseball', 'one of the most common passwords']]) {
			await chat.type('password', wrong);
			await chat.type('password-again', wrong);
			await chat.press('password-submit');
			await chat.says('password-error', words);
		}
		await chat.type('password', NEW);
		await chat.type('password-again', NEW);
		await chat.press('password-submit');
		await chat.at('password-done').waitFor();

		await isOut(elsewhere, 'Your session has ended.');
		await chat.page.getByRole('link', { name: 'On to the chat' }).click();
		await chat.signIn(alice);
		await chat.says('login-error', 'Email or password is wrong.');
		await chat.signIn({ ...alice, password: NEW });
		await chat.connected(MS);
		chat.assertClean([REFUSED]);
	});

	test('needs a valid link, and an invalid one offers another', async () => {
		const bob = await admin.member('Bob');
		await anyone.data('POST', '/auth/password/request', { email: bob.email });
		const { link } = await mail.mailTo(bob.email);
		await anyone.data('POST', '/auth/password/reset', { token: new URL(link).searchParams.get('token'), password: NEW });
		const chat = await open();

		await chat.page.goto(link);
		await chat.type('password', NEW);
		await chat.type('password-again', NEW);
		await chat.press('password-submit');
		await chat.says('password-error', 'This link is no longer valid');
		await chat.press('password-another');
		await chat.type('ask-email', bob.email);
		await chat.press('ask-submit');
		await chat.says('asked', bob.email);
		assert.notEqual((await mail.mailTo(bob.email, 1)).link, link);

		const errors = [{ message: 'Token expired.', extensions: { code: 'TOKEN_EXPIRED' } }];
		await chat.page.route('**/auth/password/reset', (route) => route.fulfill({ status: 401, json: { errors } }));
		await chat.page.goto(link);
		await chat.type('password', NEW);
		await chat.type('password-again', NEW);
		await chat.press('password-submit');
		await chat.says('password-error', 'This link has expired.');
		chat.assertClean([REFUSED]);
	});

	test('gets the same response for an unknown address', async () => {
		const chat = await open();
		await chat.press('forgot-link');
		await chat.type('ask-email', 'not an address');
		await chat.press('ask-submit');
		await chat.says('asked', 'If there is an account with the address');
		chat.assertClean();
	});
});

describe('two-factor sign-in', () => {
	test('is enabled, required and disabled, and explains every wrong step', async () => {
		const alice = await admin.member('Alice');
		const chat = await signedIn(alice);
		await openAccount(chat);
		await chat.says('factor-state', 'Off.');

		await chat.press('factor-begin');
		await chat.type('factor-password', 'not my password');
		await chat.press('factor-password-submit');
		await chat.says('factor-password-error', 'The password is wrong.');
		await chat.type('factor-password', alice.password);
		await chat.press('factor-password-submit');
		await chat.at('factor-secret').waitFor();
		const secret = (await chat.at('factor-secret').textContent()).replaceAll(' ', '');
		const url = new URL(await chat.at('factor-link').getAttribute('href'));
		assert.deepEqual([url.protocol, url.searchParams.get('secret')], ['otpauth:', secret]);
		assert.equal(await scan(chat.page, chat.at('factor-qr')), url.href, 'what a phone reads is the same');

		await chat.type('factor-code', '000000');
		await chat.press('factor-enable');
		await chat.says('factor-enable-error', 'That code is wrong.');
		await chat.type('factor-code', totp(secret));
		await chat.press('factor-enable');
		await chat.at('recovery').waitFor();
		const codes = await chat.at('recovery-list').locator('li').allTextContents();
		assert.equal(new Set(codes).size, 10);
		await chat.page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
		await chat.press('recovery-copy');
		await chat.page.getByText('Copied.').waitFor();
		assert.equal(await chat.page.evaluate(() => navigator.clipboard.readText()), codes.join('\n'));
		const [download] = await Promise.all([chat.page.waitForEvent('download'), chat.press('recovery-download')]);
		assert.equal(readFileSync(await download.path(), 'utf8'), `${codes.join('\n')}\n`);
		await chat.press('recovery-done');
		await chat.says('factor-state', 'On. 10 recovery codes are left.');
		const markup = await chat.page.content();
		for (const shown of [secret, ...codes]) assert.equal(markup.includes(shown), false, 'a secret is still on the page');

		await chat.press('account-close');
		await chat.logout.click();
		await chat.signIn(alice);
		await chat.says('login-error', 'This account also requires a second factor.');
		await chat.type('login-otp', '000000');
		await chat.submit.click();
		await chat.says('login-error', 'That code is wrong.');
		await chat.type('login-otp', totp(secret));
		await chat.submit.click();
		await chat.connected(MS);

		await openAccount(chat);
		await chat.press('factor-end');
		await chat.type('factor-last-code', '000000');
		await chat.press('factor-disable');
		await chat.says('factor-disable-error', 'That code is wrong.');
		await chat.type('factor-last-code', codes[0]);
		await chat.press('factor-disable');
		await chat.says('factor-state', 'Off.');
		await chat.press('account-close');
		await chat.logout.click();
		await chat.signIn(alice);
		await chat.connected(MS);
		chat.assertClean([REFUSED]);
	});

	test('accepts each recovery code once', async () => {
		const bob = await admin.member('Bob');
		const chat = await signedIn(bob);
		await openAccount(chat);
		const { codes } = await setUpFactor(chat);
		await chat.press('recovery-done');
		await chat.press('account-close');
		const byRecoveryCode = async (code) => {
			await chat.logout.click();
			await chat.signIn(bob);
			await chat.at('login-otp').waitFor();
			await chat.press('login-otp-other');
			await chat.type('login-otp', code);
			await chat.submit.click();
		};

		await byRecoveryCode(codes[3].toLowerCase());
		await chat.connected(MS);
		await openAccount(chat);
		await chat.says('factor-state', 'On. 9 recovery codes are left.');
		await chat.press('account-close');
		await byRecoveryCode(codes[3]);
		await chat.says('login-error', 'That recovery code is wrong, or was already used.');
		await chat.type('login-otp', codes[4]);
		await chat.submit.click();
		await chat.connected(MS);

		await openAccount(chat);
		await chat.press('factor-codes');
		await chat.type('factor-password', bob.password);
		await chat.press('factor-password-submit');
		await chat.at('recovery').waitFor();
		const fresh = await chat.at('recovery-list').locator('li').allTextContents();
		assert.ok(!fresh.some((code) => codes.includes(code)));
		await chat.press('recovery-done');
		await chat.press('account-close');
		await byRecoveryCode(codes[5]);
		await chat.says('login-error', 'That recovery code is wrong, or was already used.');
		await chat.type('login-otp', fresh[0]);
		await chat.submit.click();
		await chat.connected(MS);
		chat.assertClean([REFUSED]);
	});

	test('leaves no secret on the page when the dialog is closed early', async () => {
		const alice = await admin.member('Alice');
		const chat = await signedIn(alice);
		await openAccount(chat);
		await chat.press('factor-begin');
		await chat.type('factor-password', alice.password);
		await chat.press('factor-password-submit');
		await chat.at('factor-secret').waitFor();
		const secret = await chat.at('factor-secret').textContent();

		await chat.page.keyboard.press('Escape');
		await openAccount(chat);
		await chat.says('factor-state', 'Off.');
		assert.equal(await chat.at('factor-begin').isVisible(), true);
		assert.equal((await chat.page.content()).includes(secret), false);

		// The response arrives after the dialog has been closed.
		let release;
		const closed = new Promise((resolve) => (release = resolve));
		await chat.page.route('**/users/me/tfa/generate', async (route) => {
			await closed;
			await route.continue();
		});
		await chat.press('factor-begin');
		await chat.type('factor-password', alice.password);
		const answered = chat.page.waitForResponse('**/users/me/tfa/generate');
		await chat.press('factor-password-submit');
		await chat.page.keyboard.press('Escape');
		release();
		const late = (await (await answered).json()).data.secret;
		await openAccount(chat);
		assert.equal(await chat.at('factor-begin').isVisible(), true);
		assert.equal((await chat.page.content()).includes(late), false);
		chat.assertClean();
	});
});

describe('the account dialog', () => {
	test('changes the name that other users see', async () => {
		const [alice, bob] = [await admin.member('Alice'), await admin.member('Bob')];
		const [hers, his] = [await signedIn(alice), await signedIn(bob)];
		await openAccount(hers);
		assert.equal(await hers.at('account-name').inputValue(), 'Alice');

		await hers.type('account-name', '  ');
		await hers.press('name-save');
		await hers.says('name-error', 'Please fill in: Your name.');
		await hers.type('account-name', 'Alicia');
		await hers.press('name-save');
		await hers.says('name-error', 'Saved.');
		assert.equal(await hers.at('who').textContent(), 'Alicia');
		await hers.press('account-close');
		await hers.send('under a new name');
		assert.equal((await his.sees('under a new name')).author, 'Alicia');
		assert.equal((await hers.sees('under a new name')).own, true);
		hers.assertClean();
		his.assertClean();
	});

	test('changes the password, which ends every other session at once', async () => {
		const alice = await admin.member('Alice');
		const [chat, elsewhere] = [await signedIn(alice), await signedIn(alice)];
		await openAccount(chat);

		await chat.type('change-password', 'baseball');
		await chat.press('change-save');
		await chat.says('change-error', 'one of the most common passwords');
		await chat.type('change-password', NEW);
		await chat.press('change-save');
		await chat.says('change-error', 'Your password is changed.');
		await isOut(elsewhere, 'Your session has ended.');
		assert.equal(await chat.at('change-password').inputValue(), '');
		assert.equal(await chat.at('device').count(), 1);
		await chat.press('account-close');
		await chat.send('still here');
		await chat.sees('still here');
		await elsewhere.signIn({ ...alice, password: NEW });
		await elsewhere.connected(MS);
		chat.assertClean([REFUSED]);
		elsewhere.assertClean([REFUSED]);
	});

	test('lists the active sessions and ends one of them', async () => {
		const bob = await admin.member('Bob');
		const phone = { userAgent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1' };
		const [chat, elsewhere] = [await signedIn(bob), await signedIn(bob, phone)];
		await openAccount(chat);

		assert.deepEqual(await chat.at('device').locator('.device-name').allTextContents(), ['Chrome on Linux', 'Safari on iOS']);
		assert.equal(await chat.at('device').first().getByText('this one').isVisible(), true);
		assert.equal(await chat.at('device').first().getByTestId('device-end').isVisible(), false);
		await chat.at('device').nth(1).getByTestId('device-end').click();
		await isOut(elsewhere, 'Your session has ended.');
		await until(async () => (await chat.at('device').count()) === 1, 'the list to be read anew');
		assert.equal(await chat.at('devices-others').isVisible(), false);
		elsewhere.assertClean([REFUSED]);
		chat.assertClean();
	});

	test('signs out all other sessions or all sessions, at once', async () => {
		const alice = await admin.member('Alice');
		const [chat, second] = [await signedIn(alice), await signedIn(alice)];
		await openAccount(chat);
		await chat.press('devices-others');
		await isOut(second, 'Your session has ended.');
		assert.equal(await chat.at('account').isVisible(), true, 'this one stays');
		await second.signIn(alice);
		await second.connected(MS);
		const cookies = await chat.window.context.cookies();
		const header = { cookie: cookies.map(({ name, value }) => `${name}=${value}`).join('; ') };

		await chat.press('devices-all');
		await isOut(chat, 'You are signed out everywhere.');
		await isOut(second, 'Your session has ended.');
		assert.equal((await fetch(`${server.origin}/users/me`, { headers: header })).status, 401, 'the copied cookie is still good');
		assert.equal(await chat.at('account').isVisible(), false);
		await chat.page.reload();
		await chat.form.waitFor();
		// Its socket may be closed before the response arrives.
		chat.assertClean([REFUSED]);
		second.assertClean([REFUSED]);
	});

	test('shows only the settings that the user may change', async () => {
		const person = await admin.person('Pat');
		const chat = await open();
		await chat.signIn(person);
		await chat.at('who').waitFor();
		await openAccount(chat);

		for (const part of ['account-name', 'change-password', 'factor-state']) assert.equal(await chat.at(part).isVisible(), false, part);
		assert.equal(await chat.at('device').count(), 1);
		chat.assertClean();
	});
});

describe('accessibility', () => {
	test('the account dialog works with the keyboard alone', async () => {
		const alice = await admin.member('Alice');
		const chat = await signedIn(alice);
		const { keyboard } = chat.page;
		const focused = () => chat.page.evaluate(() => document.activeElement.id);

		await chat.at('who').focus();
		await keyboard.press('Enter');
		await chat.at('account').waitFor();
		assert.equal(await focused(), 'account-title');
		for (const next of ['account-close', 'account-name']) {
			await keyboard.press('Tab');
			assert.equal(await focused(), next);
		}
		await keyboard.press('Control+A');
		await keyboard.type('Alix');
		await keyboard.press('Enter');
		await chat.says('name-error', 'Saved.');
		await keyboard.press('Tab');
		await keyboard.press('Tab');
		assert.equal(await focused(), 'change-password');
		await keyboard.type('to be looked at');
		await keyboard.press('Tab');
		await keyboard.press('Space');
		assert.equal(await chat.at('change-password').getAttribute('type'), 'text');
		await keyboard.press('Escape');
		assert.equal(await chat.at('account').isVisible(), false);
		assert.equal(await focused(), 'who', 'the focus is where it was');
		assert.deepEqual(await chat.at('change-password').evaluate((field) => [field.type, field.value]), ['password', '']);
		chat.assertClean();
	});

	for (const [name, options] of Object.entries({
		'on a desk, light': { colorScheme: 'light' },
		'on a phone of 360 pixels, dark': { colorScheme: 'dark', viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true },
	})) {
		test(`${name}: axe finds no violations, and the layout fits`, async () => {
			await registration({});
			const alice = await admin.member('Alice');
			const chat = await open(options);
			const look = async (view) => {
				await chat.page.evaluate(AXE);
				await chat.page.evaluate(() => Promise.all(document.getAnimations().filter((animation) => animation.effect.getTiming().iterations === 1).map((animation) => animation.finished)));
				const { violations, passes } = await chat.page.evaluate(() => window.axe.run(document));
				assert.ok(passes.some(({ id }) => id === 'color-contrast'), `${view}: the checker did not look at the colours`);
				assert.deepEqual(violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html, failureSummary }) => ({ html, failureSummary })) })), [], view);
				for (const box of ['html', '.sign-in', '.account-body']) {
					const over = await chat.page.evaluate((box) => [...document.querySelectorAll(box)].map((element) => element.scrollWidth - element.clientWidth), box);
					assert.deepEqual(over.filter((width) => width > 0), [], `${view}: ${box} is wider than the window`);
				}
				await chat.window.screenshot(`account-${name}-${view}.png`);
			};

			await look('sign-in');
			await chat.signIn({ ...alice, password: 'wrong' });
			await chat.says('login-error', 'wrong');
			await look('a wrong password');
			await chat.press('signup-link');
			await look('sign-up');
			await chat.type('signup-name', 'Frank');
			await chat.type('signup-email', `frank.${options.colorScheme}@example.com`);
			await chat.type('signup-password', NEW);
			await chat.press('signup-submit');
			await chat.at('signup-sent').waitFor();
			await look('the inbox');
			await chat.page.goto(`${server.origin}/admin/reset-password`);
			await look('a forgotten password');
			await chat.type('ask-email', 'nobody@example.com');
			await chat.press('ask-submit');
			await chat.at('asked').waitFor();
			await look('a link was asked for');
			await chat.page.goto(`${server.origin}/admin/reset-password?token=made-up`);
			await look('a new password');
			await chat.type('password', NEW);
			await chat.type('password-again', NEW);
			await chat.press('password-submit');
			await chat.says('password-error', 'no longer valid');
			await look('a bad link');

			await chat.page.goto(server.origin);
			await chat.signIn(alice);
			await chat.connected(MS);
			await openAccount(chat);
			await look('the account');
			await chat.press('factor-begin');
			await look('the password once more');
			await chat.type('factor-password', alice.password);
			await chat.press('factor-password-submit');
			await chat.at('factor-secret').waitFor();
			await look('the secret');
			const secret = (await chat.at('factor-secret').textContent()).replaceAll(' ', '');
			await chat.type('factor-code', totp(secret));
			await chat.press('factor-enable');
			await chat.at('recovery').waitFor();
			await look('recovery codes');
			await chat.press('recovery-done');
			await chat.press('factor-end');
			await look('turning it off');
			await chat.press('account-close');
			await chat.logout.click();
			await chat.signIn(alice);
			await chat.at('login-otp').waitFor();
			await look('a code is asked for');
			chat.assertClean([REFUSED]);
		});
	}
});

/** Reads the QR code from the screen, as a camera would see it. */
async function scan(page, element) {
	const picture = (await element.screenshot()).toString('base64');
	const { width, height, data } = await page.evaluate(async (picture) => {
		const image = new Image();
		image.src = `data:image/png;base64,${picture}`;
		await image.decode();
		const canvas = new OffscreenCanvas(image.width, image.height).getContext('2d');
		canvas.drawImage(image, 0, 0);
		return { width: image.width, height: image.height, data: [...canvas.getImageData(0, 0, image.width, image.height).data] };
	}, picture);
	return jsqr(Uint8ClampedArray.from(data), width, height)?.data;
}
