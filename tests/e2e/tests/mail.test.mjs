// Sign-up, invitations and password resets with a real mail server: the test reads the mail and follows its link to sign in.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { launchBrowser } from '../lib/browser.mjs';
import { MailServer } from '../lib/mail.mjs';
import { freePort } from '../lib/ports.mjs';
import { Administrator, Rest } from '../lib/rest.mjs';
import { freshDirectory, Server } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const PASSWORD = 'correct horse battery';

/** The settings of a server that sends its mails to this port. */
async function settings(mail, extra = {}) {
	const port = await freePort();
	const env = { EMAIL_TRANSPORT: 'smtp', EMAIL_SMTP_HOST: '127.0.0.1', EMAIL_SMTP_PORT: String(mail.port), EMAIL_SMTP_IGNORE_TLS: 'true', EMAIL_FROM: 'chat@example.com', PUBLIC_URL: `http://127.0.0.1:${port}`, REGISTER_STALL_TIME: '0', PASSWORD_RESET_STALL_TIME: '0', ...extra };
	return { port, env };
}

describe('with a mail server', () => {
	let server;
	let mail;
	let admin;
	let anyone;
	let role;
	const login = (email, password) => anyone.call('POST', '/auth/login', { email, password });
	before(async () => {
		mail = new MailServer(await freePort());
		await mail.start();
		server = await Server.start(await settings(mail));
		admin = await Administrator.signIn(server);
		anyone = new Rest(server.origin);
		role = (await admin.call('GET', '/roles?filter[name][_eq]=Member')).data[0].id;
	});
	after(async () => {
		await server?.dispose();
		await mail?.stop();
	});

	test('a user signs up through the link in an email', async () => {
		assert.equal((await anyone.call('POST', '/users/register', { email: 'new@example.com', password: PASSWORD })).status, 403);
		await admin.call('PATCH', '/settings', { public_registration: true, public_registration_role: role, project_name: 'Grüße & Co' });
		assert.equal((await anyone.call('POST', '/users/register', { email: 'new@example.com', password: PASSWORD, first_name: 'New' })).status, 204);
		assert.equal((await login('new@example.com', PASSWORD)).status, 401);

		const { link, raw, html } = await mail.mailTo('new@example.com');
		assert.match(raw, /^From: .*<chat@example\.com>\r$/m);
		assert.match(raw, /^Message-ID: <[0-9a-f-]{36}@example\.com>\r$/m);
		assert.ok(html.includes('Grüße &amp; Co'), html);
		const followed = await fetch(link);
		assert.equal(followed.status, 200);
		assert.equal(followed.url, `${server.origin}/`);

		const { data } = await login('new@example.com', PASSWORD);
		const said = await anyone.as(data.access_token).call('POST', '/items/messages', { content: 'hello' });
		assert.equal(said.status, 200);
		assert.equal((await fetch(link)).status, 403);
	});

	test('an invited user chooses a password in a browser and signs in', async () => {
		assert.equal((await admin.call('POST', '/users/invite', { email: 'bob@example.com', role })).status, 204);
		const { link } = await mail.mailTo('bob@example.com');
		const chromium = await launchBrowser();
		const page = await chromium.newPage();
		try {
			const complaints = [];
			page.on('pageerror', (error) => complaints.push(error.message));
			page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
			await page.goto(link);
			await page.getByRole('heading', { name: 'Welcome! Choose a password' }).waitFor();
			assert.ok(!page.url().includes('token'), page.url());
			await page.getByTestId('password').fill(PASSWORD);
			await page.getByTestId('password-again').fill('something else');
			await page.getByTestId('password-submit').click();
			await page.getByText('The two passwords are not the same.').waitFor();
			assert.deepEqual(complaints, []);
			await page.getByTestId('password').fill('baseball');
			await page.getByTestId('password-again').fill('baseball');
			await page.getByTestId('password-submit').click();
			await page.getByText('This is one of the most common passwords').waitFor();
			await page.getByTestId('password').fill(PASSWORD);
			await page.getByTestId('password-again').fill(PASSWORD);
			await page.getByTestId('password-submit').click();
			await page.getByTestId('password-done').waitFor();
			await page.getByRole('link', { name: 'On to the chat' }).click();
			await page.getByTestId('login-form').waitFor();
			assert.equal((await login('bob@example.com', PASSWORD)).status, 200);

			await page.goto(link);
			await page.getByTestId('password').fill(PASSWORD);
			await page.getByTestId('password-again').fill(PASSWORD);
			await page.getByTestId('password-submit').click();
			await page.getByText('This link is no longer valid').waitFor();
		} finally {
			await chromium.close();
		}
	});

	test('a password reset ends existing sessions', async () => {
		const alice = await admin.member('Alice');
		const { data: held } = await login(alice.email, alice.password);
		assert.equal((await anyone.call('POST', '/auth/password/request', { email: alice.email })).status, 204);
		assert.equal((await anyone.call('POST', '/auth/password/request', { email: 'nobody@example.com' })).status, 204);
		const { link } = await mail.mailTo(alice.email);
		assert.ok(link.startsWith(`${server.origin}/admin/reset-password?token=`), link);
		assert.equal((await fetch(link)).headers.get('referrer-policy'), 'no-referrer');

		const token = new URL(link).searchParams.get('token');
		assert.equal((await anyone.call('POST', '/auth/password/reset', { token, password: PASSWORD })).status, 204);
		assert.equal((await anyone.as(held.access_token).call('GET', '/users/me')).status, 401);
		assert.equal((await login(alice.email, PASSWORD)).status, 200);
		assert.equal((await anyone.call('POST', '/auth/password/reset', { token, password: PASSWORD })).status, 403);
		assert.ok(!mail.mails.some(({ to }) => to.includes('nobody@example.com')));
	});

	test('the log contains no token or address of an email', () => {
		assert.ok(mail.mails.length >= 3);
		for (const { to, link } of mail.mails) {
			for (const secret of [...to, new URL(link).searchParams.get('token')]) assert.ok(!server.log.includes(secret), secret);
		}
	});
});

test('unsent mail survives a restart and a kill until the mail server is available', async () => {
	const mail = new MailServer(await freePort());
	const server = await Server.start(await settings(mail));
	try {
		const admin = await Administrator.signIn(server);
		const alice = await admin.member('Alice');
		const anyone = new Rest(server.origin);
		assert.equal((await anyone.call('POST', '/auth/password/request', { email: alice.email })).status, 204);
		await server.restart();
		await server.end('SIGKILL');
		await server.launch();
		await mail.start();

		const { link } = await mail.mailTo(alice.email, 0, 60_000);
		const token = new URL(link).searchParams.get('token');
		assert.equal((await anyone.call('POST', '/auth/password/reset', { token, password: PASSWORD })).status, 204);
		assert.equal((await anyone.call('POST', '/auth/login', { email: alice.email, password: PASSWORD })).status, 200);
		await server.restart();
		assert.equal(mail.mails.length, 1, 'it was sent once');
		assert.match(server.log, /the mail server cannot be reached/);
		assert.ok(!server.log.includes(alice.email));
	} finally {
		await server.dispose();
		await mail.stop();
	}
});

test('the mail server password is never sent in plain text', async () => {
	const seen = [];
	const onAuth = (auth, session, done) => {
		seen.push({ user: auth.username, secure: session.secure });
		done(null, { user: auth.username });
	};
	// Without the STARTTLS offer, as stripped by an attacker on the network.
	const mail = new MailServer(await freePort(), { onAuth, disabledCommands: ['STARTTLS'], allowInsecureAuth: true });
	await mail.start();
	const server = await Server.start(await settings(mail, { EMAIL_SMTP_IGNORE_TLS: 'false', EMAIL_SMTP_USER: 'chat', EMAIL_SMTP_PASSWORD: 'the password of the mail server' }));
	try {
		const admin = await Administrator.signIn(server);
		const alice = await admin.member('Alice');
		await new Rest(server.origin).call('POST', '/auth/password/request', { email: alice.email });
		await until(() => server.log.includes('an email could not be sent'), 'the refusal to be logged', { ms: 30_000 });
		assert.deepEqual(seen, []);
		assert.deepEqual(mail.mails, []);
		assert.ok(!server.log.includes('the password of the mail server'));
	} finally {
		await server.dispose();
		await mail.stop();
	}
});

test('TLS is used if the mail server offers it, with a trusted certificate only', async () => {
	const directory = freshDirectory();
	const [authority, authorityKey, key, request, extensions, cert] = ['ca.pem', 'ca.key', 'key.pem', 'request.pem', 'extensions', 'cert.pem'].map((name) => path.join(directory, name));
	const openssl = (...args) => execFileSync('openssl', args, { stdio: 'pipe' });
	const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
	openssl('req', '-x509', ...fresh, '-days', '2', '-subj', '/CN=tests', '-keyout', authorityKey, '-out', authority);
	openssl('req', ...fresh, '-subj', '/CN=localhost', '-keyout', key, '-out', request);
	writeFileSync(extensions, 'subjectAltName=DNS:localhost\n');
	openssl('x509', '-req', '-in', request, '-CA', authority, '-CAkey', authorityKey, '-days', '2', '-extfile', extensions, '-out', cert);
	const onAuth = (auth, session, done) => (auth.password === 'the password of the mail server' ? done(null, { user: auth.username }) : done(new Error('no')));
	const mail = new MailServer(await freePort(), { onAuth, key: readFileSync(key), cert: readFileSync(cert) });
	await mail.start();
	const env = { EMAIL_SMTP_IGNORE_TLS: 'false', EMAIL_SMTP_HOST: 'localhost', EMAIL_SMTP_USER: 'chat', EMAIL_SMTP_PASSWORD: 'the password of the mail server' };
	const server = await Server.start(await settings(mail, env));
	try {
		const admin = await Administrator.signIn(server);
		const alice = await admin.member('Alice');
		await new Rest(server.origin).call('POST', '/auth/password/request', { email: alice.email });
		await until(() => server.log.includes('an email could not be sent'), 'a certificate of nobody to be refused', { ms: 30_000 });
		assert.deepEqual(mail.mails, []);

		await server.stop();
		server.env.SSL_CERT_FILE = authority;
		await server.launch();
		const taken = await mail.mailTo(alice.email);
		assert.deepEqual([taken.secure, taken.user], [true, 'chat']);
	} finally {
		await server.dispose();
		await mail.stop();
	}
});

test('a demo writes emails to the log and announces it', async () => {
	const server = await Server.start({ demo: true });
	try {
		const anyone = new Rest(server.origin);
		assert.match(server.log, /EMAIL_TRANSPORT=log/);
		assert.equal((await anyone.call('POST', '/users/register', { email: 'new@example.com', password: PASSWORD })).status, 204);
		assert.equal((await anyone.call('POST', '/auth/login', { email: 'new@example.com', password: PASSWORD })).status, 200);
		assert.equal((await anyone.call('POST', '/auth/password/request', { email: 'alice@example.com' })).status, 204);
		const link = () => /http:\S*\/admin\/reset-password\?token=(\S+)/.exec(server.log);
		await until(() => link() !== null, 'the mail to be in the log', { ms: 30_000 });
		assert.equal((await anyone.call('POST', '/auth/password/reset', { token: link()[1], password: PASSWORD })).status, 204);
	} finally {
		await server.dispose();
	}
});
