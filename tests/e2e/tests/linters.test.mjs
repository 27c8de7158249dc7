// Redocly and Spectral report no warning on either document with all their recommended rules, and each model that Modelina
// generates from the AsyncAPI document has a name.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { TypeScriptGenerator } from '@asyncapi/modelina';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import spectral from '@stoplight/spectral-core';
import rulesets from '@stoplight/spectral-rulesets';
import { run } from '../lib/server.mjs';

/**
 * Spectral's severity of warnings. Information has a higher number, such as the notice that AsyncAPI has a newer version
 * than the generators support.
 */
const WARNING = 1;
const KINDS = { openapi: rulesets.oas, asyncapi: rulesets.asyncapi };
const texts = {};

before(async () => {
	for (const kind of Object.keys(KINDS)) {
		const printed = await run([kind]);
		assert.equal(printed.code, 0, printed.stderr);
		texts[kind] = printed.stdout;
	}
});

async function redocly(source) {
	const config = await createConfig({ extends: ['recommended'] });
	const problems = await lintFromString({ source, absoluteRef: 'document.json', config });
	return problems.map(({ severity, ruleId, message, location }) => `${severity} ${ruleId} ${location[0]?.pointer}: ${message}`);
}

async function ofSpectral(source, ruleset) {
	const linter = new spectral.Spectral();
	linter.setRuleset({ extends: [[ruleset, 'recommended']] });
	const problems = (await linter.run(source)).filter(({ severity }) => severity <= WARNING);
	return problems.map(({ code, message, path }) => `${code} ${path.join('.')}: ${message}`);
}

for (const [kind, ruleset] of Object.entries(KINDS)) {
	describe(`the ${kind} document`, () => {
		test('has no Redocly warnings', async () => {
			assert.deepEqual(await redocly(texts[kind]), []);
		});

		test('has no Spectral warnings', async () => {
			assert.deepEqual(await ofSpectral(texts[kind], ruleset), []);
		});

		test('has warnings if its license has no name', async () => {
			const broken = JSON.parse(texts[kind]);
			broken.info.license = {};
			// The rest takes long to check and is irrelevant here.
			if (broken.paths) Object.assign(broken, { paths: {}, components: {} });
			const source = JSON.stringify(broken);
			assert.notDeepEqual(await redocly(source), []);
			assert.notDeepEqual(await ofSpectral(source, ruleset), []);
		});
	});
}

test('each model generated from the AsyncAPI document has a name', async () => {
	const names = async (document) => (await new TypeScriptGenerator().generate(document)).map(({ modelName }) => modelName);
	const document = JSON.parse(texts.asyncapi);
	const untitled = JSON.parse(texts.asyncapi);
	delete untitled.components.messages.subscribe.payload.properties.event.title;

	const named = await names(document);

	for (const expected of ['SubscribeFrame', 'SubscribeFrameEvent', 'TopicChatFramePayloadItem', 'Message', 'ErrorCode']) assert.ok(named.includes(expected), `${expected}: ${named}`);
	assert.deepEqual(named.filter((name) => /anonymous/i.test(name)), []);
	assert.ok((await names(untitled)).some((name) => /anonymous/i.test(name)), 'this should have been noticed');
});
