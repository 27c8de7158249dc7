// The service conforms to its description: schemathesis generates valid and invalid requests from it, and checks every
// response against it, as an administrator, as a member and anonymously. No request may break the server, and no response
// may have a status, content type, header, schema or error code that the description does not declare. The cases are the
// same at each run. `schemathesis/` configures the checks, and explains the omitted ones.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { artifact, REPOSITORY, SUITE } from '../lib/paths.mjs';
import { Administrator } from '../lib/rest.mjs';
import { environment, freshDirectory, Server } from '../lib/server.mjs';

const FOLDER = path.join(SUITE, 'schemathesis');
const PROGRAM = path.join(FOLDER, '.venv/bin/schemathesis');
const description = JSON.parse(readFileSync(path.join(REPOSITORY, 'openapi/openapi.json'), 'utf8'));
const MINUTES_MAX = 8;

/** Creates the items used in the description's examples, so that requests generated from them find data. */
async function makeExamples(administrator) {
	for (const [route, collection] of [['/items/messages', 'Message'], ['/roles', 'Role'], ['/policies', 'Policy'], ['/users', 'User'], ['/access', 'Access'], ['/permissions', 'Permission']]) {
		const shown = description.paths[`${route}/{id}`].get.responses['200'].content['application/json'].example.data;
		const settable = Object.keys(description.components.schemas[`${collection}Create`].properties);
		const values = Object.entries(shown).filter(([name, value]) => settable.includes(name) && value !== null && value !== '**********');
		const answer = await administrator.call('POST', route, Object.fromEntries(values));
		assert.ok(answer.status === 200 || answer.code === 'RECORD_NOT_UNIQUE', `the example of ${collection}: ${answer.text}`);
	}
}

/**
 * The identities and their tokens. Static tokens remain valid when sessions change. The administrator, who has full access,
 * sends every value and combination of the description for every operation.
 */
const IDENTITIES = {
	administrator: {
		phases: 'examples,coverage,fuzzing,stateful',
		casesMin: 10_000,
		token: async (administrator) => {
			const token = 'a token of the administrator who asks';
			await administrator.data('PATCH', '/users/me', { token });
			return token;
		},
	},
	member: { phases: 'examples,fuzzing,stateful', casesMin: 1_000, token: async (administrator) => (await administrator.member('Member')).token },
	nobody: { phases: 'examples,fuzzing,stateful', casesMin: 1_000, token: async () => null },
};

function run(args, ms) {
	const settings = { PYTHONPATH: FOLDER, PYTHONDONTWRITEBYTECODE: '1', SCHEMATHESIS_HOOKS: 'hooks', NO_COLOR: '1' };
	const child = spawn(PROGRAM, ['--config-file', path.join(FOLDER, 'schemathesis.toml'), 'run', ...args], { cwd: freshDirectory(), env: environment(settings), stdio: ['ignore', 'pipe', 'pipe'] });
	const timer = setTimeout(() => child.kill('SIGKILL'), ms);
	process.once('exit', () => child.kill('SIGKILL'));
	let output = '';
	for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
	return new Promise((resolve, reject) => {
		child.once('error', reject);
		child.once('close', (code, signal) => {
			clearTimeout(timer);
			resolve({ code, signal, output });
		});
	});
}

describe('every response conforms to the API description', { concurrency: true }, () => {
	for (const [name, { phases, casesMin, token: tokenFor }] of Object.entries(IDENTITIES)) {
		test(`for ${name}`, { timeout: (MINUTES_MAX + 1) * 60_000 }, async () => {
			assert.ok(existsSync(PROGRAM), 'schemathesis is not installed: `make e2e` installs it');
			const server = await Server.start({ demo: true, env: { LOGIN_STALL_TIME: '0', LOG_LEVEL: 'warn', AUTH_THROTTLE_ENABLED: 'false', RATE_LIMITER_ENABLED: 'false', RATE_LIMITER_REGISTRATION_ENABLED: 'false' } });
			let passed = false;
			try {
				const administrator = await Administrator.signIn(server);
				await makeExamples(administrator);
				const token = await tokenFor(administrator);
				const { code, signal, output } = await run([`${server.origin}/openapi.json`, '--phases', phases, ...(token ? ['--header', `Authorization: Bearer ${token}`] : [])], MINUTES_MAX * 60_000);
				const report = artifact(`schemathesis-${name}.log`);
				writeFileSync(report, output);
				const [, failures = ''] = /=+ (?:FAILURES|ERRORS) =+([\s\S]*)/.exec(output) ?? [];

				assert.deepEqual({ code, signal }, { code: 0, signal: null }, `${report}\n${(failures || output).slice(0, 6_000)}`);
				const [, selected, total] = /Operations:\s+(\d+) selected \/ (\d+) total/.exec(output) ?? [];
				assert.equal(selected, total, 'an operation was left out');
				assert.ok(Number(total) >= 80, `only ${total} operations`);
				const [, cases] = /(\d+) generated/.exec(output) ?? [];
				assert.ok(Number(cases) >= casesMin, `only ${cases} requests`);
				server.assertAlive();
				passed = true;
			} finally {
				await server.dispose(!passed);
			}
		});
	}
});
