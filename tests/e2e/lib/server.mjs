// The real binary in its own process: a fresh directory, a free port, an administrator, and its log, which is saved if a
// test fails. There are three kinds of restart: a new process on the same port, a new process behind a socket that a
// supervisor keeps open, and SIGHUP. If a server ends unexpectedly, every wait of the test fails and shows the log.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { keepSecret, keepSecretsOf, newLog } from './evidence.mjs';
import { artifact, BINARY } from './paths.mjs';
import { freePort } from './ports.mjs';
import { alarm, until, within } from './wait.mjs';

const HOLDER = fileURLToPath(new URL('hold_socket.py', import.meta.url));
const HOST = '127.0.0.1';
export const ADMIN = { email: 'admin@example.com', password: 'an administrator of the tests' };

const processes = new Set();
const directories = new Set();
process.on('exit', () => {
	for (const child of processes) child.kill('SIGKILL');
	for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** The environment of every process of the suite, without the settings of the caller's environment. */
export function environment(extra = {}) {
	const kept = Object.fromEntries(['PATH', 'HOME', 'LANG', 'TMPDIR'].flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
	return { ...kept, ...extra };
}

/** Creates an empty directory, removed when the suite's process ends. */
export function freshDirectory() {
	const directory = mkdtempSync(path.join(os.tmpdir(), 'chinwag-e2e-'));
	directories.add(directory);
	return directory;
}

export class Server {
	#child = null;
	#stopping = false;
	#forget = null;
	#output = [];

	/**
	 * Starts a server and waits until it answers.
	 * `held`: behind a socket that stays open across restarts. `demo`, `publicDirectory`, `args`: the command line.
	 * `env`: settings in addition to the suite's own; undefined removes one. `directory`: used instead of a fresh one.
	 * `filesMax`: the soft and hard limit of open files.
	 */
	static async start(options = {}) {
		const server = new Server(options);
		server.port = options.port ?? (await freePort());
		await server.launch();
		return server;
	}

	constructor({ held = false, demo = false, publicDirectory, args = [], env = {}, directory, filesMax } = {}) {
		this.held = held;
		this.directory = directory ?? freshDirectory();
		this.args = ['serve', ...(demo ? ['--demo'] : []), ...(publicDirectory ? ['--public', publicDirectory] : []), ...args];
		this.env = env;
		this.filesMax = filesMax;
	}

	get origin() {
		return `http://${HOST}:${this.port}`;
	}

	get database() {
		return path.join(this.directory, 'data', 'chinwag.db');
	}

	get log() {
		return this.#output.join('');
	}

	get pid() {
		return this.#child?.pid;
	}

	/** Starts the process and waits until it answers; returns the milliseconds that took. */
	async launch() {
		assert.equal(this.#child, null, 'the server runs already');
		// All tests share one address, and some of them exceed the default rate.
		const rate = { RATE_LIMITER_POINTS: '100000' };
		const settings = { HOST, PORT: String(this.port), ADMIN_EMAIL: ADMIN.email, ADMIN_PASSWORD: ADMIN.password, ...rate, ...this.env };
		for (const [name, value] of Object.entries(settings)) if (value === undefined) delete settings[name];
		const limited = this.filesMax ? ['prlimit', `--nofile=${this.filesMax}:${this.filesMax}`] : [];
		const command = this.held ? ['python3', HOLDER, String(this.port), BINARY, ...this.args] : [...limited, BINARY, ...this.args];
		const started = performance.now();
		const child = spawn(command[0], command.slice(1), { cwd: this.directory, env: environment(settings), stdio: ['ignore', 'pipe', 'pipe'] });
		processes.add(child);
		this.#child = child;
		this.#stopping = false;
		this.exited = new Promise((resolve) => {
			child.once('error', (error) => resolve({ code: null, signal: null, error }));
			child.once('close', (code, signal) => resolve({ code, signal }));
		}).then((end) => {
			processes.delete(child);
			this.#child = null;
			if (this.#stopping) this.#forget?.();
			else this.died = end;
			return end;
		});
		for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => this.#output.push(text));
		keepSecretsOf(settings);
		child.stderr.on('data', newLog(`server-${this.port}`));
		this.died = null;
		this.#forget?.();
		this.#forget = alarm(() => this.assertAlive());
		try {
			await this.ready();
		} catch (error) {
			await this.end('SIGKILL');
			throw error.message.includes('its output') ? error : new Error(`${error.message}\n--- its output ---\n${this.log}`);
		}
		return performance.now() - started;
	}

	/** Waits until the server answers. */
	async ready({ ms = 10_000, every = 3 } = {}) {
		const answers = async () => {
			try {
				const answer = await fetch(`${this.origin}/server/ping`, { signal: AbortSignal.timeout(2_000) });
				return answer.ok && (await answer.text()) === 'pong';
			} catch {
				return false;
			}
		};
		await until(answers, `the server on port ${this.port} to answer`, { ms, every });
	}

	assertAlive() {
		if (this.died) {
			const { code, signal, error } = this.died;
			throw new Error(`the server ended unasked (status ${code}, signal ${signal}${error ? `, ${error.message}` : ''})\n--- its output ---\n${this.log}`);
		}
	}

	/** Sends a signal that does not end the process. */
	signal(name) {
		assert.ok(this.#child, 'the server does not run');
		this.#child.kill(name);
	}

	/** Sends a signal that ends the process, and returns { code, signal } once it has ended. */
	async end(name = 'SIGTERM', ms = 15_000) {
		if (!this.#child) return this.exited;
		this.#stopping = true;
		this.#child.kill(name);
		return within(this.exited, `the server to end after ${name}\n--- its output ---\n${this.log}`, ms);
	}

	/** Ends the server with SIGTERM and asserts a clean exit. */
	async stop() {
		this.assertAlive();
		if (!this.#child) return;
		const end = await this.end('SIGTERM');
		assert.deepEqual(end, { code: 0, signal: null }, `SIGTERM should end the server with status 0\n${this.log}`);
	}

	/** Sends SIGTERM, and starts a new process on the same port once the old one has ended. */
	async restart() {
		assert.equal(this.held, false);
		await this.stop();
		await this.launch();
	}

	/** Makes the supervisor replace the process; the listening socket stays open. */
	async replace() {
		assert.equal(this.held, true);
		const before = this.#replacements();
		this.signal('SIGUSR1');
		await until(() => this.#replacements() > before, 'the supervisor to start the next process');
		await this.ready();
	}

	#replacements() {
		return this.log.split('hold_socket: replaced').length - 1;
	}

	/** Makes the process re-execute its binary with SIGHUP: the same process id, a new image in memory. */
	async reexecute() {
		assert.equal(this.held, false);
		const { pid } = this;
		const image = () => readFileSync(`/proc/${pid}/auxv`, 'latin1');
		const before = image();
		this.signal('SIGHUP');
		await until(() => image() !== before, 'the process to execute itself anew');
		await this.ready();
	}

	/** For `after` hooks: ends the process by any means, and saves the log if a test failed. */
	async dispose(failed = false) {
		if (failed) writeFileSync(artifact(`server-${this.port}.log`), this.log);
		this.#forget?.();
		if (this.#child) await this.end('SIGTERM', 10_000).catch(() => this.end('SIGKILL', 5_000));
	}
}

/**
 * Runs the binary to completion: { code, signal, stdout, stderr }. Standard input is empty unless given.
 * `limits`: resource limits of the process, as options of prlimit(1).
 */
export async function run(args, { env = {}, directory = freshDirectory(), input, ms = 20_000, limits = [] } = {}) {
	const command = limits.length ? ['prlimit', ...limits, BINARY, ...args] : [BINARY, ...args];
	const child = spawn(command[0], command.slice(1), { cwd: directory, env: environment(env), stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
	processes.add(child);
	let stdout = '';
	let stderr = '';
	child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
	child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
	child.stderr.on('data', newLog('command'));
	keepSecretsOf(env);
	const password = args.indexOf('--password') + 1;
	for (const text of [password > 0 ? args[password] : '', input ?? '']) keepSecret('a password', text.trim());
	if (input !== undefined) child.stdin.end(input);
	try {
		const [code, ended] = await within(once(child, 'close'), `\`chinwag ${args.join(' ')}\` to end`, ms);
		return { code, signal: ended, stdout, stderr };
	} catch (error) {
		child.kill('SIGKILL');
		throw new Error(`${error.message}\n--- stdout ---\n${stdout}\n--- stderr ---\n${stderr}`);
	} finally {
		processes.delete(child);
	}
}
