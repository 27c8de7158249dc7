// The check at the end of the suite detects errors: evidence of tests is recorded, and a secret in a log or an error is
// found with file and line, in any encoding.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { check } from '../lib/check_evidence.mjs';
import { freshDirectory } from '../lib/server.mjs';

const LIB = fileURLToPath(new URL('../lib', import.meta.url));
const run = promisify(execFile);

const SCENARIO = `
	import { Administrator, Rest } from ${JSON.stringify(`${LIB}/rest.mjs`)};
	import { run, Server } from ${JSON.stringify(`${LIB}/server.mjs`)};
	import { Socket } from ${JSON.stringify(`${LIB}/socket.mjs`)};
	const server = await Server.start({ env: { SECRET: 'the secret that this server signs with' } });
	const admin = await Administrator.signIn(server);
	const alice = await admin.member('Alice');
	const cookie = await new Rest(server.origin).call('POST', '/auth/login', { email: alice.email, password: alice.password, mode: 'session' });
	await new Rest(server.origin).call('POST', '/auth/login', { email: alice.email, password: 'a guess that is wrong' });
	const socket = await Socket.open(server.origin, { email: alice.email, password: alice.password });
	const { refresh_token } = socket.frames[0] ?? {};
	socket.close();
	await server.stop();
	await run(['users', 'password', '--email', alice.email, '--password', '-'], { directory: server.directory, input: 'typed in by the operator' });
	console.log(JSON.stringify({ token: admin.token, own: alice.token, cookie: cookie.headers.getSetCookie()[0].split(';')[0].split('=')[1] }));
`;

test('evidence includes secrets, logs of servers and commands, and errors', async () => {
	const folder = freshDirectory();
	const { stdout } = await run(process.execPath, ['--input-type=module', '-e', SCENARIO], { env: { ...process.env, E2E_EVIDENCE: folder } });
	const used = JSON.parse(stdout);

	const clean = await check(folder);
	assert.deepEqual(clean.findings, []);
	assert.ok(clean.lines >= 5, `${clean.lines} lines`);
	const names = readdirSync(folder);
	for (const kind of ['server-', 'command', 'errors', '.secrets']) assert.ok(names.some((name) => name.includes(kind)), `${kind}: ${names}`);
	const secrets = ['the secret that this server signs with', 'an administrator of the tests', 'a long enough password', 'a guess that is wrong', 'typed in by the operator', ...Object.values(used)];
	for (const secret of secrets) {
		writeFileSync(path.join(folder, 'planted.log'), `a line\nand one with ${secret}\n`);
		const { findings } = await check(folder);
		assert.ok(findings.some(({ file, line }) => file === 'planted.log' && line === 2), `not found: ${secret}`);
	}
});

test('a secret is found as plain text, in JSON and in a URL, and so is an unrecorded token', async () => {
	const folder = freshDirectory();
	const secret = 'it\'s "quoted" & long';
	writeFileSync(path.join(folder, 'x.secrets'), `${JSON.stringify(['a password', secret])}\n`);
	const planted = [secret, JSON.stringify({ secret }), `/path?password=${encodeURIComponent(secret)}`, `Bearer ${Buffer.from('{"alg":"HS256"}').toString('base64url')}.${Buffer.from('{"id":"someone"}').toString('base64url')}.sig`];
	for (const line of planted) {
		writeFileSync(path.join(folder, 'server.log'), `nothing here\n${line}\n`);
		const { findings } = await check(folder);
		assert.deepEqual(findings.map(({ file, line }) => [file, line]), [['server.log', 2]], line);
	}
	writeFileSync(path.join(folder, 'server.log'), 'a quoted & long line about password and token\n');
	assert.deepEqual((await check(folder)).findings, []);
});

test('EMAIL_TRANSPORT=log permits secrets only in logged mails', async () => {
	const folder = freshDirectory();
	writeFileSync(path.join(folder, 'x.secrets'), `${JSON.stringify(['the token of a mail', 'a-token-of-some-mail'])}\n`);
	const warning = 'WARN chinwag::app::enrolment: EMAIL_TRANSPORT=log writes emails to this log: everyone with access to the log can use their links';
	const mail = 'WARN chinwag::mail::transport:   http://x/admin/reset-password?token=a-token-of-some-mail';

	writeFileSync(path.join(folder, 'a.log'), `${warning}\n${mail}\n`);
	assert.deepEqual((await check(folder)).findings, []);
	writeFileSync(path.join(folder, 'a.log'), `${mail}\n`);
	assert.equal((await check(folder)).findings.length, 1, 'without the setting');
	writeFileSync(path.join(folder, 'a.log'), `${warning}\nINFO chinwag::transport: a-token-of-some-mail\n`);
	assert.equal((await check(folder)).findings.length, 1, 'elsewhere');
});

test('a finding makes the check exit with status 1', async () => {
	const folder = freshDirectory();
	writeFileSync(path.join(folder, 'x.secrets'), `${JSON.stringify(['a password', 'a long enough password'])}\n`);
	writeFileSync(path.join(folder, 'server.log'), 'a long enough password\n');
	const failed = await run(process.execPath, [path.join(LIB, 'check_evidence.mjs'), folder]).then(() => null, (error) => error);
	assert.equal(failed?.code, 1);
	assert.match(failed.stderr, /server\.log:1: a password is in it/);
});
