// The command line and the process lifecycle, from outside: its output, its errors at startup, account management without a
// server, and shutdown.
import assert from 'node:assert/strict';
import { copyFileSync, linkSync, mkdirSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { Administrator, Rest } from '../lib/rest.mjs';
import { Kept } from '../lib/kept.mjs';
import { freePort } from '../lib/ports.mjs';
import { ADMIN, freshDirectory, run, Server } from '../lib/server.mjs';
import { Socket } from '../lib/socket.mjs';
import { damage, sqlite } from '../lib/sqlite.mjs';
import { until, within } from '../lib/wait.mjs';

const servers = [];

async function start(options) {
	const server = await Server.start(options);
	servers.push(server);
	return server;
}

afterEach(async (t) => {
	for (const server of servers.splice(0)) await server.dispose(t.passed === false);
});

const lines = (text) => text.split('\n').filter((line) => line.trim() !== '');

/** CPU time of a process in all its threads, in seconds (proc(5) counts hundredths). */
function processorSeconds(pid) {
	const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
	return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Asserts an exit without a signal, with a failure status and one line on standard error that matches all patterns. */
function assertRefused({ code, signal, stderr }, ...patterns) {
	assert.equal(signal, null);
	assert.ok(code > 0, `exit status ${code}\n${stderr}`);
	assert.equal(lines(stderr).length, 1, `one line, not:\n${stderr}`);
	assert.doesNotMatch(stderr, /panicked|backtrace|stack|Error\s*\{|Os \{/i);
	for (const pattern of patterns) assert.match(stderr, pattern);
}

describe('help and version', () => {
	test('--help lists every subcommand', async () => {
		const { code, stdout } = await run(['--help']);

		assert.equal(code, 0);
		for (const command of ['serve', 'migrate', 'vacuum', 'users', 'settings', 'openapi', 'healthcheck', 'completions']) assert.match(stdout, new RegExp(`\\b${command}\\b`));
	});

	test('every subcommand has its own help', async () => {
		for (const command of [['serve'], ['migrate'], ['vacuum'], ['users'], ['users', 'create'], ['users', 'list'], ['users', 'password'], ['users', 'suspend'], ['settings'], ['openapi'], ['healthcheck'], ['completions']]) {
			const { code, stdout } = await run([...command, '--help']);
			assert.equal(code, 0, command.join(' '));
			assert.match(stdout, /Usage:/, command.join(' '));
		}
	});

	test('--version prints the name and the version', async () => {
		const { code, stdout } = await run(['--version']);

		assert.equal(code, 0);
		assert.match(stdout, /^chinwag \d+\.\d+\.\d+\s*$/);
	});

	test('completions for bash load into bash and complete the subcommands', async () => {
		const { code, stdout } = await run(['completions', 'bash']);

		assert.equal(code, 0);
		assert.match(stdout, /complete .*\bchinwag\b/);
		for (const command of ['serve', 'migrate', 'healthcheck']) assert.match(stdout, new RegExp(`\\b${command}\\b`));
	});

	test('an unknown subcommand or option is a usage error', async () => {
		for (const args of [['sreve'], ['serve', '--dmeo']]) {
			const { code, stderr } = await run(args);
			assert.equal(code, 2, args.join(' '));
			assert.match(stderr, new RegExp(args.at(-1)));
		}
	});
});

describe('a failed start', () => {
	test('names every invalid setting at once', async () => {
		const wrong = {
			HOST: 'not an address',
			PORT: 'eighty',
			ACCESS_TOKEN_TTL: 'for ever',
			WEBSOCKETS_REST_AUTH: 'perhaps',
			WEBSOCKETS_HEARTBEAT_PERIOD: '-1',
			SECRET: 'short',
		};

		const { code, stderr } = await run(['serve'], { env: wrong });

		assert.ok(code > 0);
		for (const name of Object.keys(wrong)) assert.match(stderr, new RegExp(`\\b${name}\\b`), `${name} is not named:\n${stderr}`);
		assert.doesNotMatch(stderr, /panicked|backtrace/);
		assert.doesNotMatch(stderr, /short\b/, 'a secret is not repeated');
	});

	test('names all missing settings of a provider, and corrects a misspelt one', async () => {
		const { code, stderr } = await run(['serve'], { env: { AUTH_PROVIDERS: 'google', AUTH_GOOGLE_SCPE: 'openid' } });

		assert.equal(code, 2);
		for (const name of ['PUBLIC_URL', 'AUTH_GOOGLE_DRIVER', 'AUTH_GOOGLE_CLIENT_ID', 'AUTH_GOOGLE_ISSUER_URL', 'AUTH_GOOGLE_SCOPE']) assert.match(stderr, new RegExp(`\\b${name}\\b`), `${name} is not named:\n${stderr}`);
	});

	test('names the invalid settings of a .env file', async () => {
		const directory = freshDirectory();
		writeFileSync(path.join(directory, '.env'), 'PORT=eighty\nACCESS_TOKEN_TTL="for ever"\n');

		const { code, stderr } = await run(['serve'], { directory });

		assert.ok(code > 0);
		assert.match(stderr, /\bPORT\b/);
		assert.match(stderr, /\bACCESS_TOKEN_TTL\b/);
	});

	test('settings lists invalid values, masks secrets and suggests names', async () => {
		const directory = freshDirectory();
		writeFileSync(path.join(directory, '.env'), 'PORT=eighty\nSECRET=short\n');

		const { code, stdout } = await run(['settings', '--json'], { directory });
		const unknown = await run(['settings', 'LOG_LEVLE'], { directory });

		assert.equal(code, 0);
		const { settings } = JSON.parse(stdout);
		const of = (name) => settings.find((setting) => setting.name === name);
		assert.match(of('PORT').errors[0], /from 0 to 65535/);
		assert.equal(of('SECRET').value, '***');
		assert.doesNotMatch(stdout, /"short"/, 'a secret is not shown');
		assertRefused(unknown, /LOG_LEVEL/);
	});

	test('names a port that is in use', async () => {
		const server = await start();

		const end = await run(['serve'], { env: { PORT: String(server.port) } });

		assertRefused(end, new RegExp(`\\b${server.port}\\b`), /in use|taken/i);
	});

	test('names a data directory that cannot be created', async () => {
		const directory = freshDirectory();
		writeFileSync(path.join(directory, 'file'), 'not a directory');

		const end = await run(['serve'], { directory, env: { PORT: '0', DB_FILENAME: 'file/data/chinwag.db' } });

		assertRefused(end, /file\/data/);
	});

	test('names a file that is not a database', async () => {
		const directory = freshDirectory();
		mkdirSync(path.join(directory, 'data'));
		const text = 'this is a text, and a rather long one, so that nobody takes it for an empty database\n'.repeat(100);
		writeFileSync(path.join(directory, 'data/chinwag.db'), text);

		const end = await run(['serve'], { directory, env: { PORT: '0' } });

		assertRefused(end, /data\/chinwag\.db/);
	});

	test('names a database that another instance uses', async () => {
		const server = await start();

		const end = await run(['serve'], { directory: server.directory, env: { PORT: String(await freePort()) } });

		assertRefused(end, /chinwag\.db/);
		await server.ready();
	});

	test('detects a database in use under another name or without its lock file', async () => {
		const server = await start();
		const elsewhere = freshDirectory();
		const [link, hardLink] = ['link.db', 'hard-link.db'].map((name) => path.join(elsewhere, name));
		symlinkSync(server.database, link);
		linkSync(server.database, hardLink);
		unlinkSync(`${server.database}.lock`);

		for (const name of [link, hardLink, server.database]) {
			const end = await run(['serve'], { env: { PORT: '0', DB_FILENAME: name } });
			assert.equal(end.code, 3, name);
			assertRefused(end, /in use/, new RegExp(path.basename(name)));
		}
		await server.ready();
	});

	test('reports too little address space', async () => {
		for (const mebibytes of [96, 128, 256, 400]) {
			for (const args of [['serve'], ['migrate'], ['users', 'list']]) {
				const end = await run(args, { env: { PORT: '0' }, limits: [`--as=${mebibytes * 2 ** 20}`] });
				assert.equal(end.code, 1, `${args} with ${mebibytes} MiB`);
				assertRefused(end, /^chinwag: /, /address space/, /ulimit -v/);
			}
		}
	});

	test('rejects a database of a newer version and leaves it unchanged', async () => {
		const server = await start();
		await server.stop();
		const columns = sqlite(server.database, 'pragma table_info(_sqlx_migrations)').map(([, name]) => name);
		const values = columns.map((name) => (name === 'version' ? '99999999999999' : name));
		sqlite(server.database, `insert into _sqlx_migrations (${columns}) select ${values} from _sqlx_migrations order by version desc limit 1`);
		const copy = path.join(freshDirectory(), 'before.db');
		copyFileSync(server.database, copy);

		const end = await run(['serve'], { directory: server.directory, env: { PORT: '0' } });

		assertRefused(end, /newer/i);
		assert.deepEqual(sqlite(server.database, 'select version from _sqlx_migrations'), sqlite(copy, 'select version from _sqlx_migrations'));
	});
});

describe('user commands without a running server', () => {
	const directory = freshDirectory();
	const email = 'carol@example.com';
	const users = (...args) => run(['users', ...args], { directory, input: 'the second password\n', env: { ADMIN_EMAIL: ADMIN.email, ADMIN_PASSWORD: ADMIN.password } });
	const signIn = async (server, password) => (await new Rest(server.origin).call('POST', '/auth/login', { email, password })).status;

	test('create and list an account that can sign in', async () => {
		const created = await users('create', '--email', email, '--first-name', 'Carol', '--password', 'the first password');
		assert.equal(created.code, 0, created.stderr);
		const listed = await users('list');
		assert.equal(listed.code, 0, listed.stderr);
		assert.match(listed.stdout, /carol@example\.com/);

		const server = await start({ directory });
		assert.equal(await signIn(server, 'the first password'), 200);
	});

	test('change a password to one from standard input', async () => {
		const changed = await users('password', '--email', email, '--password', '-');
		assert.equal(changed.code, 0, changed.stderr);

		const server = await start({ directory });
		assert.equal(await signIn(server, 'the first password'), 401);
		assert.equal(await signIn(server, 'the second password'), 200);
	});

	test('suspend an account', async () => {
		const suspended = await users('suspend', '--email', email);
		assert.equal(suspended.code, 0, suspended.stderr);

		const server = await start({ directory });
		assert.equal(await signIn(server, 'the second password'), 401);
	});

	test('reject mistakes without changes', async () => {
		assertRefused(await users('create', '--email', email, '--password', 'another password'), /carol@example\.com/);
		assertRefused(await users('password', '--email', 'nobody@example.com', '--password', 'a fine password'), /address/);
		assertRefused(await users('suspend', '--email', 'nobody@example.com'), /address/);
		assert.equal((await users('list')).stdout.match(/carol@example\.com/g).length, 1);
	});
});

describe('a first start', () => {
	test('creates an administrator and prints the password only once', async () => {
		const server = await start({ env: { ADMIN_EMAIL: undefined, ADMIN_PASSWORD: undefined } });
		const [, email, password] = await until(() => server.log.match(/^ *admin +(\S+@\S+) \/ (\S{12,})$/m), 'the password to be printed');

		assert.equal(server.log.split(password).length - 1, 1, 'the password is printed once');
		assert.equal((await new Rest(server.origin).call('POST', '/auth/login', { email, password })).status, 200);

		const first = server.log.length;
		await server.restart();
		await until(() => server.log.includes('is ready', first), 'what the second start prints');
		assert.doesNotMatch(server.log.slice(first), / \/ \S|password/i);
		assert.equal((await new Rest(server.origin).call('POST', '/auth/login', { email, password })).status, 200);
	});

	test('logs a warning about disabled protection', async () => {
		const on = await start();
		assert.doesNotMatch(on.log, /AUTH_THROTTLE_ENABLED|RATE_LIMITER_ENABLED/);

		const off = await start({ env: { AUTH_THROTTLE_ENABLED: 'false', RATE_LIMITER_ENABLED: 'false' } });
		await until(() => /WARN.*AUTH_THROTTLE_ENABLED is false/.test(off.log), 'a warning about guesses');
		await until(() => /WARN.*RATE_LIMITER_ENABLED is false/.test(off.log), 'a warning about floods');
	});

	test('logs a warning about ineffective settings and a public demo', async () => {
		const here = await start({ demo: true });
		assert.doesNotMatch(here.log, /WARN.*(--demo|CORS_ORIGIN)/);

		const open = await start({ demo: true, env: { HOST: '0.0.0.0', CORS_ORIGIN: 'https://app.example.com' } });
		await until(() => /WARN.*--demo has public passwords/.test(open.log), 'a warning about known passwords');
		await until(() => /WARN.*CORS_ORIGIN has no effect without CORS_ENABLED=true/.test(open.log), 'a warning about origins');
	});

	test('logs one warning about an undeclared proxy', async () => {
		const server = await start();
		assert.doesNotMatch(server.log, /IP_TRUST_PROXY/);

		for (let number = 0; number < 3; number++) await fetch(`${server.origin}/server/ping`, { headers: { 'x-forwarded-for': '192.0.2.1' } });

		await until(() => /WARN.*IP_TRUST_PROXY is false/.test(server.log), 'the warning');
		assert.equal(server.log.split('IP_TRUST_PROXY is false').length, 2);
		assert.doesNotMatch(server.log, /192\.0\.2\.1/);
	});

	test('grants no anonymous access without --demo', async () => {
		const server = await start();
		const administrator = await Administrator.signIn(server);
		const { id } = await administrator.post('not for everybody');
		const anonymous = new Rest(server.origin);

		for (const [method, address, body] of [
			['GET', '/items/messages'],
			['GET', `/items/messages/${id}`],
			['POST', '/items/messages', { content: 'from nobody' }],
			['PATCH', `/items/messages/${id}`, { content: 'changed by nobody' }],
			['DELETE', `/items/messages/${id}`],
			['GET', '/users'],
			['GET', '/roles'],
			['GET', '/policies'],
			['GET', '/permissions'],
			['POST', '/users', { email: 'intruder@example.com', password: 'an intruder of the tests' }],
		]) {
			const answer = await anonymous.call(method, address, body);
			assert.equal(answer.status, 403, `${method} ${address} gave ${answer.status}: ${answer.text.slice(0, 300)}`);
		}
		const socket = await Socket.open(server.origin);
		for (const frame of [
			{ type: 'items', action: 'read', collection: 'messages' },
			{ type: 'items', action: 'create', collection: 'messages', data: { content: 'from nobody' } },
			{ type: 'subscribe', collection: 'messages' },
		]) {
			const answer = await socket.ask(frame);
			assert.equal(answer.error?.code, 'FORBIDDEN', JSON.stringify(answer));
		}
		socket.close();

		assert.deepEqual((await administrator.allMessages()).map(({ content }) => content), ['not for everybody']);
		assert.deepEqual((await administrator.data('GET', '/users?fields=email')).map(({ email }) => email), [ADMIN.email]);
	});
});

describe('health', () => {
	test('healthcheck succeeds only while the server runs', async () => {
		const server = await start();
		const env = { PORT: String(server.port) };
		const options = { directory: server.directory, env };

		const well = await run(['healthcheck'], options);
		assert.equal(well.code, 0, well.stderr);
		await server.stop();
		const gone = await run(['healthcheck'], options);
		assert.ok(gone.code > 0);
	});
});

describe('SIGTERM', () => {
	test('under load loses no acknowledged message, closes every socket cleanly, and exits with 0', async () => {
		const server = await start({ demo: true });
		const person = await (await Administrator.signIn(server)).person('Writer');
		const acknowledged = new Map();
		let on = true;
		const subscribers = await Promise.all(Array.from({ length: 5 }, () => Socket.open(server.origin, { access_token: person.token })));
		for (const socket of subscribers) await socket.subscribe();
		const writers = await Promise.all(Array.from({ length: 3 }, () => Socket.open(server.origin, { access_token: person.token })));
		const overSocket = writers.map(async (socket, writer) => {
			for (let number = 0; on; number++) {
				const content = `socket ${writer} ${number}`;
				socket.send({ type: 'items', action: 'create', collection: 'messages', data: { content }, uid: content });
				const answer = await Promise.race([socket.next(), socket.ended]);
				if (answer.uid !== content) return;
				if (answer.status !== 'error') acknowledged.set(content, answer.data.id);
			}
		});
		// Requests on a connection are answered until a response announces that it is the last.
		const overRest = [0, 1, 2, 3, 4, 5, 6, 7].map(async (writer) => {
			const kept = await Kept.open({ port: server.port, token: person.token });
			for (let number = 0, closes = false; !closes; number++) {
				const content = `rest ${writer} ${number}`;
				const answer = await kept.post(content);
				assert.equal(answer.status, 200);
				acknowledged.set(content, answer.data.id);
				closes = answer.closes;
			}
		});
		await until(() => acknowledged.size >= 200, 'some load');

		const end = await server.end('SIGTERM', 10_000);
		on = false;
		await within(Promise.all([...overSocket, ...overRest]), 'the writers to notice');

		assert.deepEqual(end, { code: 0, signal: null });
		for (const socket of [...subscribers, ...writers]) {
			const { code } = await within(socket.ended, 'the socket to be closed');
			assert.ok([1001, 1012].includes(code), `closed with ${code}, not with a close frame that says why`);
		}
		assert.deepEqual(damage(server.database), []);
		await server.launch();
		const stored = new Map((await person.rest.allMessages()).map(({ id, content }) => [id, content]));
		const lost = [...acknowledged].filter(([content, id]) => stored.get(id) !== content);
		assert.deepEqual(lost, [], `${lost.length} of ${acknowledged.size} acknowledged messages are lost`);
	});

	test('SIGHUP under load drops no request: connections respond until they announce their close', async () => {
		const server = await start({ demo: true });
		const person = await (await Administrator.signIn(server)).person('Writer');
		const acknowledged = new Map();
		let on = true;
		const writers = [0, 1, 2, 3].map(async (writer) => {
			for (let number = 0; on; ) {
				const kept = await Kept.open({ port: server.port, token: person.token });
				for (let closes = false; on && !closes; number++) {
					const content = `rest ${writer} ${number}`;
					const answer = await kept.post(content);
					assert.equal(answer.status, 200);
					acknowledged.set(content, answer.data.id);
					closes = answer.closes;
				}
				kept.close();
			}
		});

		for (let restart = 0; restart < 3; restart++) {
			const before = acknowledged.size;
			await until(() => acknowledged.size >= before + 50, 'some load');
			await server.reexecute();
		}
		const before = acknowledged.size;
		await until(() => acknowledged.size >= before + 50, 'the last to serve');
		on = false;
		await within(Promise.all(writers), 'the writers to end');

		const stored = new Map((await person.rest.allMessages()).map(({ id, content }) => [id, content]));
		assert.deepEqual([...acknowledged].filter(([content, id]) => stored.get(id) !== content), []);
	});

	test('interrupts long queries at the shutdown timeout, with an error response', async () => {
		const server = await start({ demo: true, env: { SERVER_SHUTDOWN_TIMEOUT: '1500', DB_QUERY_TIMEOUT: '10m' } });
		const administrator = await Administrator.signIn(server);
		const message = { content: 'abcdefghij '.repeat(180) };
		for (let batch = 0; batch < 20; batch++) await administrator.data('POST', '/items/messages?fields=id', Array(400).fill(message));
		const words = Array.from({ length: 800 }, (_, word) => ({ content: { _icontains: `nowhere ${word}` } }));
		const query = { fields: ['id'], limit: 1, sort: ['content'], filter: { _or: words } };
		const socket = await Socket.open(server.origin, { access_token: administrator.token });
		socket.send({ type: 'items', action: 'read', collection: 'messages', query, uid: 'slow' });
		const asked = administrator.call('SEARCH', '/items/messages', { query });
		const before = processorSeconds(server.pid);
		await until(() => processorSeconds(server.pid) > before + 1, 'both to be under way');
		const began = performance.now();

		const end = await server.end('SIGTERM', 10_000);

		assert.deepEqual(end, { code: 0, signal: null });
		assert.ok(performance.now() - began < 4_000, `took ${Math.round(performance.now() - began)} ms`);
		assert.equal((await within(asked, 'the answer to the request')).status, 503);
		const answer = await socket.take((frame) => frame.uid === 'slow', 'the answer on the socket');
		assert.equal(answer.error.code, 'SERVICE_UNAVAILABLE');
		assert.equal((await within(socket.ended, 'the socket to be closed')).code, 1012);
	});

	test('exits at once when idle', async () => {
		const server = await start();
		const began = performance.now();

		await server.stop();

		assert.ok(performance.now() - began < 1_000, `took ${Math.round(performance.now() - began)} ms`);
	});
});
