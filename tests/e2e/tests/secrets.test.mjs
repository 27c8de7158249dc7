// No credentials and no personal data occur in log lines or errors, at any log level, and no client input can forge a log
// line or control a terminal.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { after, describe, test } from 'node:test';
import { Administrator, Rest } from '../lib/rest.mjs';
import { ADMIN, run, Server } from '../lib/server.mjs';
import { Socket } from '../lib/socket.mjs';
import { totp } from '../lib/totp.mjs';

for (const style of ['pretty', 'raw']) {
	describe(`the ${style} log at trace level`, () => {
		const secrets = new Map();
		const errors = [];
		let server;
		after(() => server?.dispose());

		/** Records a text that must not be disclosed. */
		const keep = (name, text) => {
			assert.ok(typeof text === 'string' && text.length >= 8, `${name}: ${text}`);
			secrets.set(name, text);
			return text;
		};

		test('a broad scenario runs', async () => {
			const secret = keep('SECRET', randomBytes(32).toString('hex'));
			keep("the administrator's password", ADMIN.password);
			keep("the administrator's address", ADMIN.email);
			server = await Server.start({ env: { LOG_LEVEL: 'trace', LOG_STYLE: style, SECRET: secret, LOGIN_STALL_TIME: '0' } });
			const admin = await Administrator.signIn(server);
			keep("the administrator's token", admin.token);
			const anyone = new Rest(server.origin);
			const call = async (rest, method, path, body) => {
				const answer = await rest.call(method, path, body);
				if (answer.status >= 400) errors.push(answer.text);
				return answer;
			};

			const alice = await admin.member('Alice');
			keep("Alice's address", alice.email);
			keep("Alice's password", alice.password);
			keep("Alice's static token", alice.token);
			const tokens = {};
			for (const mode of ['json', 'cookie', 'session']) {
				const answer = await call(anyone, 'POST', '/auth/login', { email: alice.email, password: alice.password, mode });
				assert.equal(answer.status, 200);
				for (const line of answer.headers.getSetCookie()) keep(`the cookie of ${mode} mode`, line.split(';')[0].split('=')[1]);
				for (const name of ['access_token', 'refresh_token']) if (answer.data[name]) tokens[name] = keep(`${name} of ${mode} mode`, answer.data[name]);
			}
			const refreshed = await call(anyone, 'POST', '/auth/refresh', { refresh_token: tokens.refresh_token });
			keep('the next refresh token', refreshed.data.refresh_token);
			keep('the next access token', refreshed.data.access_token);
			await call(anyone, 'POST', '/auth/refresh', { refresh_token: keep('a refresh token of nobody', randomBytes(48).toString('base64url')) });

			const guess = keep('a wrong password', 'my other password is this');
			await call(anyone, 'POST', '/auth/login', { email: alice.email, password: guess });
			await call(anyone, 'POST', '/auth/login', { email: keep('an address of nobody', 'someone.else@example.com'), password: guess });
			await call(anyone, 'POST', '/auth/login', { email: keep('a password in the place of the address', 'my-password-by-mistake'), password: 'x' });
			await call(anyone, 'GET', `/users/me?access_token=${tokens.access_token}`);
			await call(anyone, 'GET', `/users/me?access_token=${keep('a bad token in the address', 'not-a-token-at-all')}`);
			await call(anyone.as(keep('a bad bearer', 'eyJhbGciOiJub25lIn0.eyJpc3MiOiJkaXJlY3R1cyJ9.')), 'GET', '/users/me');
			await call(anyone.as(tokens.access_token), 'GET', `/users/me?access_token=${tokens.access_token}`);

			await call(alice.rest, 'PATCH', '/users/me', { password: keep('a password that is too short', 'zq9!xWv'.padEnd(8, ' ')).trim() });
			await call(admin, 'POST', '/users', { email: alice.email, password: keep('a password for an address that is taken', 'for a taken address') });
			await call(admin, 'POST', '/users', { email: 'bob@example.com', token: alice.token });
			await call(admin, 'PATCH', `/users/${alice.id}`, { tfa_secret: keep('a second factor by hand', 'GEZDGNBVGY3TQOJQ') });
			await call(admin, 'GET', `/users?filter[token][_eq]=${alice.token}`);

			const made = await call(alice.rest, 'POST', '/users/me/tfa/generate', { password: alice.password });
			const factor = keep('the second factor', made.data.secret);
			await call(alice.rest, 'POST', '/users/me/tfa/enable', { secret: factor, otp: '000000' });
			assert.equal((await call(alice.rest, 'POST', '/users/me/tfa/enable', { secret: factor, otp: totp(factor) })).status, 204);
			const codes = await call(alice.rest, 'POST', '/users/me/tfa/recovery-codes', { password: alice.password });
			for (const [index, code] of codes.data.recovery_codes.entries()) keep(`recovery code ${index}`, code);
			const [code] = codes.data.recovery_codes;
			await call(anyone, 'POST', '/auth/login', { email: alice.email, password: alice.password, otp: 'wrong one-time password' });
			assert.equal((await call(anyone, 'POST', '/auth/login', { email: alice.email, password: alice.password, otp: code })).status, 200);

			const said = keep('what somebody said', 'a message for nobody else');
			await call(alice.rest, 'POST', '/items/messages', { content: said });
			await call(alice.rest, 'POST', '/items/messages', { content: said, nothing: { of: said } });
			await call(alice.rest, 'GET', `/items/messages?search=${encodeURIComponent(said)}`);

			const socket = await Socket.open(server.origin, { access_token: alice.token });
			await socket.ask({ type: 'items', action: 'create', collection: 'messages', data: { content: said } });
			await socket.ask({ type: 'subscribe', collection: 'messages', query: {} });
			await socket.ask({ type: 'auth', email: alice.email, password: alice.password, otp: codes.data.recovery_codes[1] });
			await socket.ask({ type: 'auth', email: alice.email, password: guess });
			await socket.ask({ type: 'auth', access_token: tokens.access_token });
			await socket.ask({ type: 'auth', refresh_token: refreshed.data.refresh_token });
			socket.close();
			const upgrade = await Socket.open(`${server.origin}`.replace('http', 'ws'), { access_token: tokens.access_token });
			upgrade.close();
		});

		test('malformed requests and forged log lines are sent', async () => {
			const raw = async (text) => {
				const socket = net.connect(server.port, '127.0.0.1');
				socket.on('error', () => {});
				socket.end(text.replaceAll('\n', '\r\n'), 'latin1');
				let answer = '';
				socket.setEncoding('latin1').on('data', (part) => (answer += part));
				await Promise.race([once(socket, 'close'), new Promise((resolve) => setTimeout(resolve, 2_000))]);
				socket.destroy();
				return answer;
			};
			const secret = keep('what was cut short', 'a password in broken JSON');
			for (const text of [
				`POST /auth/login HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: 60\nConnection: close\n\n{"email": "a@b.c", "password": "${secret}", \u001b[31m`.padEnd(190),
				'GET /server/info%0a2026-01-01T00:00:00Z%20INFO%20forged%1b%5b31m HTTP/1.1\nHost: x\nConnection: close\n\n',
				'GET /items/\u001b[31mred HTTP/1.1\nHost: x\nConnection: close\n\n',
				`GET /items/messages?x=%1b%5b31m%0aINFO%20forged&password=${encodeURIComponent(secret)} HTTP/1.1\nHost: x\nConnection: close\n\n`,
				'GET /server/ping HTTP/1.1\nHost: x\nUser-Agent: curl\u009b0m \u0085forged\nX-Request-Id: \u001b[31mforged\nConnection: close\n\n',
				'\u001b[31mGET nonsense\n\n',
			]) {
				errors.push(await raw(text));
			}
		});

		test('the command line discloses no password', async () => {
			await server.stop();
			const directory = server.directory;
			const password = keep('a password from standard input', 'typed in by the operator');
			const refused = keep('a refused password from standard input', 'password1234');
			for (const line of [password, 'baseball', refused]) {
				const end = await run(['users', 'password', '--email', ADMIN.email, '--password', '-'], { directory, input: `${line}\n`, env: { LOG_LEVEL: 'trace', LOG_STYLE: style, SECRET: secrets.get('SECRET') } });
				for (const text of [end.stdout, end.stderr]) assert.ok(!text.includes(line), text);
			}
		});

		test('no log line and no error contains a secret', () => {
			const { log } = server;
			assert.ok(log.split('\n').length > 30, 'much was logged');
			assert.match(log, /\/auth\/login/);
			for (const [name, text] of secrets) {
				for (const part of new Set([text, encodeURIComponent(text), JSON.stringify(text).slice(1, -1)])) {
					const at = log.indexOf(part);
					assert.equal(at, -1, `${name} is in the log: ${log.slice(Math.max(0, at - 300), at + 100)}`);
				}
				if (/address|said|by mistake/.test(name)) continue;
				for (const error of errors) assert.ok(!error.includes(text), `${name} is in an error: ${error}`);
			}
		});

		test('log lines are complete and free of control characters', () => {
			const control = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;
			for (const line of server.log.split('\n')) {
				assert.doesNotMatch(line, control, JSON.stringify(line));
				assert.doesNotMatch(line, /^\s*INFO forged|^2026-01-01T00:00:00Z INFO forged/);
			}
		});
	});
}
