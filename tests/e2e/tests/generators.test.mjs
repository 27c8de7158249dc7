// Common generators produce complete clients from the OpenAPI document: each includes all operations, its code compiles
// under --strict, and the client signs in, creates a message and finds it with a typed filter.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { createClient as heyApi } from '@hey-api/openapi-ts';
import { build } from 'esbuild';
import openapiTypeScript, { astToString } from 'openapi-typescript';
import { generate as orval } from 'orval';
import { generateApi as swaggerTypeScriptApi } from 'swagger-typescript-api';
import { SUITE } from '../lib/paths.mjs';
import { Administrator } from '../lib/rest.mjs';
import { environment, run, Server } from '../lib/server.mjs';

const PROGRAMS = path.join(SUITE, 'clients');
const GENERATED = path.join(SUITE, '.generated/clients');
const PYTHON = path.join(PROGRAMS, 'python/.venv/bin/python');
const METHODS = ['get', 'put', 'post', 'delete', 'patch', 'head', 'options', 'trace'];
const execute = promisify(execFile);

let server, administrator, input, operations;
let failed = false;

before(async () => {
	rmSync(GENERATED, { recursive: true, force: true });
	mkdirSync(GENERATED, { recursive: true });
	const printed = await run(['openapi']);
	assert.equal(printed.code, 0, printed.stderr);
	input = path.join(GENERATED, 'openapi.json');
	writeFileSync(input, printed.stdout);
	const items = Object.entries(JSON.parse(printed.stdout).paths);
	operations = items.flatMap(([route, item]) => METHODS.filter((method) => item[method]).map((method) => ({ route, method, id: item[method].operationId })));
	assert.ok(operations.length > 90, `only ${operations.length} operations`);
	server = await Server.start({ demo: true });
	administrator = await Administrator.signIn(server);
});
after(() => server?.dispose(failed));

/** Creates the output folder of a generator. */
function folder(name) {
	const made = path.join(GENERATED, name);
	mkdirSync(made, { recursive: true });
	return made;
}

/** The text of all files below a folder. */
function written(where) {
	const files = readdirSync(where, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
	return files.map((file) => readFileSync(path.join(file.parentPath ?? file.path, file.name), 'utf8')).join('\n');
}

/** How to run each generator, and how to find the operations of its client. */
const GENERATORS = {
	'openapi-fetch': {
		async generate() {
			const text = astToString(await openapiTypeScript(JSON.parse(readFileSync(input, 'utf8'))));
			writeFileSync(path.join(folder('openapi-typescript'), 'api.d.ts'), text);
			return text;
		},
		has: (text, { id }) => text.includes(`\n    ${id}: {\n        parameters:`),
	},
	'hey-api': {
		async generate() {
			const output = folder('hey-api');
			await heyApi({ input, output, plugins: ['@hey-api/client-fetch', '@hey-api/typescript', '@hey-api/sdk'], logs: { level: 'silent' } });
			return readFileSync(path.join(output, 'sdk.gen.ts'), 'utf8');
		},
		has: (text, { id }) => text.includes(`\nexport const ${id} = <`),
	},
	'orval-fetch': {
		generate: () => ofOrval('fetch'),
		has: (text, { id }) => text.includes(`\nexport const ${id} = async (`),
	},
	'orval-axios': {
		generate: () => ofOrval('axios'),
		has: (text, { id }) => text.includes(`const ${id} = <`),
	},
	'swagger-typescript-api': {
		async generate() {
			const output = folder('swagger-typescript-api');
			await swaggerTypeScriptApi({ input, output, fileName: 'api.ts', silent: true });
			return readFileSync(path.join(output, 'api.ts'), 'utf8');
		},
		has: (text, { route, method }) => text.includes(`* @request ${method.toUpperCase()}:${route.replace(/\{(\w+)\}/g, '{$1}')}\n`),
	},
	python: {
		async generate() {
			assert.ok(existsSync(PYTHON), 'openapi-python-client is not installed: `make e2e` installs it');
			const output = path.join(folder('python'), 'chinwag_client');
			const config = path.join(folder('python'), 'config.json');
			writeFileSync(config, JSON.stringify({ post_hooks: [] }));
			const args = ['-m', 'openapi_python_client', 'generate', '--path', input, '--output-path', output, '--meta', 'none', '--config', config, '--fail-on-warning'];
			const { stdout, stderr } = await execute(PYTHON, args, { env: environment() });
			assert.doesNotMatch(stdout + stderr, /warning/i);
			return readdirSync(path.join(output, 'api'), { recursive: true }).join('\n');
		},
		has: (text, { id }) => text.split('\n').some((file) => file.endsWith(`/${id.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}.py`)),
	},
};

async function ofOrval(client) {
	const target = path.join(folder(`orval-${client}`), 'api.ts');
	await orval({ input, output: { target, client, mode: 'single', baseUrl: client === 'fetch' ? server.origin : undefined } }, SUITE);
	return readFileSync(target, 'utf8');
}

describe('a generated client', () => {
	for (const [name, { generate, has }] of Object.entries(GENERATORS)) {
		test(`of ${name} has every operation`, async () => {
			failed = true;
			const text = await generate();
			assert.deepEqual(operations.filter((operation) => !has(text, operation)).map(({ id }) => id), [], 'operations that it has dropped');
			assert.equal(has(text, { id: 'noSuchOperation', route: '/nowhere', method: 'get' }), false);
			failed = false;
		});
	}

	test('compiles under --strict', async () => {
		failed = true;
		const compiler = path.join(SUITE, 'node_modules/typescript/bin/tsc');
		const compiled = await execute(process.execPath, [compiler, '--project', PROGRAMS, '--pretty', 'false']).catch((error) => error);
		assert.deepEqual({ code: compiled.code ?? 0, stdout: compiled.stdout }, { code: 0, stdout: '' });
		failed = false;
	});

	for (const name of Object.keys(GENERATORS)) {
		test(`of ${name} signs in, creates, and lists with a filter`, async () => {
			failed = true;
			const person = await administrator.person('Typed');
			const content = `sent by ${name}: 100 % "typed" & filtered`;
			await administrator.data('POST', '/items/messages', { content });
			const listed = name === 'python' ? await talkInPython(person, content) : await talk(name, person, content);
			assert.deepEqual(listed, [content]);
			failed = false;
		});
	}
});

async function talk(name, { email, password }, content) {
	const outfile = path.join(GENERATED, `${name}.mjs`);
	// Axios loads Node modules with CommonJS `require`.
	const banner = { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" };
	await build({ entryPoints: [path.join(PROGRAMS, `${name}.ts`)], outfile, bundle: true, format: 'esm', platform: 'node', logLevel: 'silent', banner });
	const program = await import(outfile);
	return program.talk(server.origin, email, password, content);
}

async function talkInPython({ email, password }, content) {
	const args = [path.join(PROGRAMS, 'python/program.py'), path.join(GENERATED, 'python'), server.origin, email, password, content];
	const { stdout } = await execute(PYTHON, args, { env: environment({ PYTHONDONTWRITEBYTECODE: '1', PYTHONWARNINGS: 'error' }) });
	return JSON.parse(stdout);
}
