// The OpenAPI document: it passes an independent validator, is complete, is the same from every source, and is readable at
// /docs without internet access.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import Ajv from 'ajv';
import addFormats from 'ajv-formats';
import { launchBrowser, Window } from '../lib/browser.mjs';
import { artifact, REPOSITORY } from '../lib/paths.mjs';
import { Administrator } from '../lib/rest.mjs';
import { run, Server } from '../lib/server.mjs';

const METHODS = ['get', 'put', 'post', 'delete', 'patch', 'search', 'head', 'options', 'trace'];

let server, description, validation, resolved;
let failed = false;

before(async () => {
	const printed = await run(['openapi']);
	assert.deepEqual({ code: printed.code, stderr: printed.stderr }, { code: 0, stderr: '' });
	description = JSON.parse(printed.stdout);
	const validator = new Validator();
	validation = await validator.validate(structuredClone(description));
	resolved = validator.resolveRefs();
	server = await Server.start({ demo: true });
});
after(() => server?.dispose(failed));
afterEach(async (t) => {
	failed ||= t.passed === false;
	await Window.closeAll(t);
});

/** Every operation with its path, after resolving references. */
function operations() {
	return Object.entries(resolved.paths).flatMap(([route, item]) =>
		Object.entries(item)
			.filter(([method]) => METHODS.includes(method))
			.map(([method, operation]) => ({ name: `${method.toUpperCase()} ${route}`, ...operation, parameters: [...(item.parameters ?? []), ...(operation.parameters ?? [])] })),
	);
}

const hasExample = (media) => ['example', 'examples'].some((key) => media?.[key] !== undefined) || schemaHasExample(media?.schema);

function schemaHasExample(schema, depth = 0) {
	if (!schema || typeof schema !== 'object' || depth > 6) return false;
	if (schema.example !== undefined || schema.examples !== undefined) return true;
	const parts = [...Object.values(schema.properties ?? {}), ...(schema.allOf ?? []), ...(schema.oneOf ?? []), ...(schema.anyOf ?? []), schema.items];
	return parts.some((part) => schemaHasExample(part, depth + 1));
}

test('an independent validator reports no errors', () => {
	assert.deepEqual(validation.errors ?? [], []);
	assert.equal(validation.valid, true);
});

test('every operation has a summary, an error, an example and its security', () => {
	const all = operations();
	assert.ok(all.length >= 20, `only ${all.length} operations`);
	const lacking = [];
	for (const { name, summary, responses, requestBody, parameters, security } of all) {
		if (!summary?.trim()) lacking.push(`${name}: no summary`);
		if (!Object.keys(responses).some((status) => /^[45]|^default$/.test(status))) lacking.push(`${name}: no error response`);
		const media = [requestBody, ...Object.values(responses)].flatMap((part) => Object.values(part?.content ?? {}));
		if (!media.some(hasExample) && !parameters.some((parameter) => hasExample(parameter))) lacking.push(`${name}: no example`);
		if (security === undefined && description.security === undefined) lacking.push(`${name}: security is not stated`);
	}

	assert.deepEqual(lacking, []);
});

test('every example matches its schema', async () => {
	const ajv = new Ajv({ strict: false, validateFormats: true, allErrors: true });
	addFormats(ajv);
	// Operations with methods that OpenAPI does not support are extensions beside the others.
	const everyOperation = Object.entries(description.paths).flatMap(([route, item]) => Object.entries(item).map(([method, operation]) => [`${method} ${route}`, operation]));
	const follow = (part) => (part?.$ref ? follow(part.$ref.slice(2).split('/').reduce((found, key) => found[key], description)) : part);
	ajv.addSchema({ $id: 'document', components: description.components });
	const inDocument = (schema) => JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"document#/'));
	const wrong = [];
	let checked = 0;
	const check = (place, schema, example) => {
		const validate = ajv.compile(inDocument(schema));
		checked += 1;
		if (!validate(example)) wrong.push(`${place}: ${ajv.errorsText(validate.errors)}`);
	};
	const checkPart = (place, part) => {
		if (!part?.schema) return;
		const example = part.example ?? follow(part.schema).example;
		if (example !== undefined) check(place, part.schema, example);
		for (const shared of Object.values(part.examples ?? {})) check(place, part.schema, follow(shared).value);
	};
	check('what is no filter', { $ref: '#/components/schemas/MessageFilter' }, { content: { _nope: 'x' } });
	assert.equal(wrong.splice(0).length, 1, 'this should have been noticed');
	for (const [name, operation] of everyOperation) {
		for (const parameter of (operation.parameters ?? []).map(follow)) {
			checkPart(`${name} ${parameter.name}`, parameter);
			if (parameter['x-json-schema']) check(`${name} ${parameter.name}`, parameter['x-json-schema'], JSON.parse(parameter.schema.example));
		}
		for (const media of Object.values(operation.requestBody?.content ?? {})) checkPart(`${name} body`, media);
		for (const [status, answer] of Object.entries(operation.responses)) {
			for (const media of Object.values(follow(answer).content ?? {})) checkPart(`${name} ${status}`, media);
		}
	}

	assert.deepEqual(wrong, []);
	assert.ok(checked > 500, `only ${checked} examples`);
});

test('every security scheme in use is defined, and operation ids are unique', () => {
	const defined = Object.keys(description.components?.securitySchemes ?? {});
	const named = operations().flatMap(({ security = [] }) => security.flatMap(Object.keys));
	const ids = operations().map(({ operationId }) => operationId).filter(Boolean);

	assert.ok(defined.length > 0);
	assert.deepEqual(named.filter((name) => !defined.includes(name)), []);
	assert.deepEqual(ids.filter((id, index) => ids.indexOf(id) !== index), []);
});

test('the committed file, /openapi.json and /server/specs/oas match the output of the command line', async () => {
	const committed = JSON.parse(readFileSync(path.join(REPOSITORY, 'openapi/openapi.json'), 'utf8'));
	assert.deepEqual(committed, description, 'openapi/openapi.json is stale: `make openapi` writes it anew');
	const administrator = await Administrator.signIn(server);
	for (const address of ['/openapi.json', '/server/specs/oas']) {
		const answer = await administrator.call('GET', address);
		assert.equal(answer.status, 200, address);
		assert.match(answer.headers.get('content-type'), /^application\/json/);
		assert.deepEqual(answer.json, description, address);
	}
});

test('/docs shows every operation without foreign requests', async () => {
	const browser = await launchBrowser();
	try {
		const window = await Window.open(browser);
		const blocked = [];
		await window.page.route('**/*', (route) => {
			if (new URL(route.request().url()).origin === server.origin) return route.continue();
			blocked.push(route.request().url());
			return route.abort();
		});

		await window.page.goto(`${server.origin}/docs`);
		const blocks = window.page.locator('.opblock-summary');
		await window.until(async () => (await blocks.count()) >= operations().length, 'every operation on the page', { ms: 20_000 });
		assert.ok(await window.page.getByText('/items/', { exact: false }).first().isVisible());
		await window.page.screenshot({ path: artifact('docs.png') });

		assert.deepEqual(blocked, []);
		assert.deepEqual(window.foreignRequests(), []);
		assert.deepEqual(window.unexpectedErrors(), []);
	} finally {
		await browser.close();
	}
});

test('/docs fits a phone and starts with authentication and messages', async () => {
	const browser = await launchBrowser();
	try {
		const window = await Window.open(browser, { viewport: { width: 390, height: 800 }, isMobile: true, hasTouch: true });
		await window.page.goto(`${server.origin}/docs`);
		const tags = window.page.locator('.opblock-tag');
		await tags.first().waitFor();

		const names = await tags.evaluateAll((found) => found.map((tag) => tag.dataset.tag));
		assert.deepEqual(names, description.tags.map(({ name }) => name));
		assert.deepEqual(names.slice(0, 2), ['Authentication', 'Messages']);
		const widths = await window.page.evaluate(() => [globalThis.innerWidth, document.documentElement.scrollWidth]);
		assert.deepEqual(widths, [390, 390], 'the window, and what is in it');
		await window.page.screenshot({ path: artifact('docs-phone.png') });
	} finally {
		await browser.close();
	}
});
