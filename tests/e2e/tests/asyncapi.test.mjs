// The AsyncAPI document: it passes an independent validator, its examples match their schemas, its schemas match the frames
// that pages really send and receive, and /docs/websocket is readable without scripts, without internet access, on a phone
// and in dark mode.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, afterEach, before, test } from 'node:test';
import { Parser } from '@asyncapi/parser';
import Ajv from 'ajv';
import addFormats from 'ajv-formats';
import { launchBrowser, Window } from '../lib/browser.mjs';
import { buildTopicsPage } from '../lib/build_topics_page.mjs';
import { ChatPage } from '../lib/chat_page.mjs';
import { artifact } from '../lib/paths.mjs';
import { Administrator } from '../lib/rest.mjs';
import { run, Server } from '../lib/server.mjs';
import { TopicsPage } from '../lib/topics_page.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let browser, server, text, document;
let failed = false;

before(async () => {
	const printed = await run(['asyncapi']);
	assert.deepEqual({ code: printed.code, stderr: printed.stderr }, { code: 0, stderr: '' });
	text = printed.stdout;
	document = JSON.parse(text);
	server = await Server.start({ demo: true });
	browser = await launchBrowser();
});
after(async () => {
	await browser?.close();
	await server?.dispose(failed);
});
afterEach(async (t) => {
	failed ||= t.passed === false;
	await Window.closeAll(t);
});

/** Returns for each message of the document a function that validates a frame against its schema. */
function shapes() {
	const ajv = new Ajv({ strict: false, allErrors: true });
	addFormats(ajv);
	const absolute = (part) => JSON.parse(JSON.stringify(part).replaceAll('"#/components/', '"document#/components/'));
	ajv.addSchema({ $id: 'document', ...absolute({ components: document.components }) });
	return Object.fromEntries(Object.entries(document.components.messages).map(([name, { payload }]) => [name, ajv.compile(absolute(payload))]));
}

test('the AsyncAPI validator reports no errors and no warnings', async () => {
	const { document: parsed, diagnostics } = await new Parser().parse(text);
	const said = diagnostics.filter(({ severity }) => severity <= 1).map(({ severity, code, message, path }) => ({ severity, code, message, path: path.join('.') }));

	assert.deepEqual(said, []);
	assert.equal(parsed.version(), '3.0.0');
	assert.deepEqual(parsed.channels().all().map((channel) => channel.address()).sort(), ['/_ws', '/websocket']);
});

test('the validator detects a broken reference', async () => {
	const broken = structuredClone(document);
	broken.operations.signIn.messages[0].$ref = '#/channels/topics/messages/nothing';
	const { document: parsed, diagnostics } = await new Parser().parse(JSON.stringify(broken));

	assert.equal(parsed, undefined);
	assert.ok(diagnostics.some(({ severity }) => severity === 0));
});

test('the served document matches the output of the command line', async () => {
	const served = await fetch(`${server.origin}/asyncapi.json`);

	assert.match(served.headers.get('content-type'), /^application\/json/);
	assert.equal(await served.text(), text);
});

test('every example matches its schema, and undeclared keys and codes are rejected', () => {
	const fits = shapes();
	for (const [name, { examples }] of Object.entries(document.components.messages)) {
		assert.ok(examples.length > 0, name);
		for (const { payload } of examples) assert.ok(fits[name](payload), `${name}: ${JSON.stringify(payload)} ${JSON.stringify(fits[name].errors)}`);
	}
	assert.equal(fits.signedIn({ type: 'auth', status: 'ok', more: 1 }), false, 'a key');
	assert.equal(fits.refused({ type: 'items', status: 'error', error: { code: 'NEW', message: '' } }), false, 'a code');
});

/** Asserts that each frame of a window matches a message of the channel in the right direction. */
function assertDescribed(window, channel, fits) {
	const names = Object.keys(document.channels[channel].messages);
	const of = (side) => names.filter((name) => document.components.messages[name]['x-from'] === side);
	const seen = new Set();
	for (const socket of window.sockets) {
		for (const [frames, side] of [[socket.sent, 'client'], [socket.received, 'server']]) {
			for (const frame of frames) {
				const known = of(side).filter((name) => fits[name](frame));
				assert.ok(known.length > 0, `no message of the ${side} is like ${JSON.stringify(frame)}`);
				for (const name of known) seen.add(name);
			}
		}
	}
	return seen;
}

test('every frame of the built-in chat is described', async () => {
	const administrator = await Administrator.signIn(server);
	const [alice, bob] = [await administrator.member('Alice'), await administrator.member('Bob')];
	const chat = await ChatPage.signedIn(browser, server.origin, alice);
	await chat.send('from the page');
	await chat.sees('from the page');
	const { id } = await bob.rest.post('from elsewhere');
	await chat.sees('from elsewhere');
	await bob.rest.call('PATCH', `/items/messages/${id}`, { content: 'edited' });
	await chat.sees('edited');
	await bob.rest.call('DELETE', `/items/messages/${id}`);
	await chat.misses('edited');

	const seen = assertDescribed(chat.window, 'websocket', shapes());

	for (const name of ['subscribe', 'subscriptionInit', 'subscriptionEvent']) assert.ok(seen.has(name), `${name} was seen: ${[...seen]}`);
	chat.assertClean();
});

test('every frame of a nuxt-ws page is described', async () => {
	const own = await Server.start({ demo: true, publicDirectory: await buildTopicsPage('{ heartbeat: { message: "ping", pongTimeout: 60_000 } }') });
	try {
		const page = await TopicsPage.open(browser, own.origin);
		const other = await TopicsPage.open(browser, own.origin);
		await page.users(2);
		await page.say('hello');
		await other.last('hello');
		await page.window.until(() => page.window.socket.received.includes('ping'), 'the answer to a heartbeat');

		const seen = assertDescribed(page.window, 'topics', shapes());

		for (const name of ['topicSubscribe', 'topicPublish', 'topicPing', 'topicChat', 'topicSession', 'topicInternal', 'topicPong']) assert.ok(seen.has(name), `${name} was seen: ${[...seen]}`);
	} finally {
		await own.dispose(failed);
	}
});

test('the REST documentation links to the socket documentation', async () => {
	const window = await Window.open(browser);
	await window.page.goto(`${server.origin}/docs`);
	await window.page.locator('a[href="/docs/websocket"]').first().waitFor({ timeout: 30_000 });

	const [opened] = await Promise.all([window.context.waitForEvent('page', { timeout: 30_000 }), window.page.locator('a[href="/docs/websocket"]').first().click()]);

	await opened.getByRole('heading', { level: 1, name: 'chinwag WebSocket API' }).waitFor({ timeout: 30_000 });
	assert.deepEqual(window.foreignRequests(), []);
});

/** Runs in the browser: returns the words of examples that are broken across lines although they would fit on one. */
function brokenWords() {
	const { document, NodeFilter } = globalThis;
	const broken = [];
	for (const example of document.querySelectorAll('pre code')) {
		const texts = document.createTreeWalker(example, NodeFilter.SHOW_TEXT);
		for (let node; (node = texts.nextNode()); ) {
			for (const { 0: word, index } of node.data.matchAll(/[a-z]{2,20}/gi)) {
				const range = document.createRange();
				range.setStart(node, index);
				range.setEnd(node, index + word.length);
				// Parts of text without words, such as tokens, may break anywhere.
				const isPart = /[\w.-]{25}/.test(node.data.slice(Math.max(0, index - 25), index + word.length + 25));
				if (range.getClientRects().length > 1 && !isPart) broken.push(word);
			}
		}
	}
	return broken;
}

for (const colorScheme of ['light', 'dark']) {
	for (const [device, viewport] of Object.entries({ desktop: { width: 1280, height: 900 }, phone: { width: 360, height: 740 } })) {
		test(`the page is readable on a ${device}, ${colorScheme}`, async () => {
			const window = await Window.open(browser, { viewport, colorScheme });
			await window.page.goto(`${server.origin}/docs/websocket`);
			for (const name of Object.keys(document.components.messages)) assert.equal(await window.page.locator(`article#${name}`).count(), 1, name);

			const overflow = await window.page.evaluate(() => globalThis.document.documentElement.scrollWidth - globalThis.document.documentElement.clientWidth);
			const broken = await window.page.evaluate(brokenWords);
			await window.page.screenshot({ path: artifact(`socket-docs-${device}-${colorScheme}.png`) });
			// The page allows no scripts, so the checker is injected through the debugger.
			await window.page.evaluate(AXE);
			const { violations, passes } = await window.page.evaluate(() => globalThis.axe.run(globalThis.document));

			assert.equal(overflow, 0, 'the page is wider than the window');
			assert.deepEqual(broken, [], 'words of examples are broken');
			assert.ok(passes.some(({ id }) => id === 'color-contrast'), 'the checker did not look at the colours');
			assert.deepEqual(violations.map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.map(({ html, failureSummary }) => ({ html, failureSummary })) })), []);
			assert.deepEqual(window.foreignRequests(), []);
			assert.deepEqual(window.unexpectedErrors(), []);
			await window.page.locator('nav a').last().click();
			assert.match(window.page.url(), /#errors$/);
		});
	}
}
