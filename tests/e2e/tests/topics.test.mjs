// The page of the nuxt-ws example, unchanged, against /_ws: the same room as with REST and the Directus socket.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { launchBrowser, Window } from '../lib/browser.mjs';
import { buildTopicsPage } from '../lib/build_topics_page.mjs';
import { Administrator } from '../lib/rest.mjs';
import { Server } from '../lib/server.mjs';
import { Socket } from '../lib/socket.mjs';
import { TopicsPage } from '../lib/topics_page.mjs';
import { sleep } from '../lib/wait.mjs';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

let browser, server, administrator;
let failed = false;

before(async () => {
	browser = await launchBrowser();
	server = await Server.start({ demo: true, publicDirectory: await buildTopicsPage() });
	administrator = await Administrator.signIn(server);
});
after(async () => {
	await server?.dispose(failed);
	await browser?.close();
});
afterEach(async (t) => {
	failed ||= t.passed === false;
	await Window.closeAll(t);
});

test('two users see each other join, talk and leave', async () => {
	const a = await TopicsPage.open(browser, server.origin);
	await a.users(1);
	const b = await TopicsPage.open(browser, server.origin);
	await b.users(2);
	await a.users(2);

	await a.say('hello from a');
	const nameOfA = await b.last('hello from a');
	assert.equal(await a.last('hello from a'), nameOfA);
	assert.match(nameOfA, UUID);
	await b.say('hello from b');
	const nameOfB = await a.last('hello from b');
	assert.notEqual(nameOfA, nameOfB);
	await a.say('and again');
	assert.equal(await b.last('and again'), nameOfA);
	assert.equal(await a.last('and again'), nameOfA);
	assert.deepEqual(await a.lines(), await b.lines());

	b.assertNoErrors();
	await b.window.close();
	await a.users(1);
	a.assertNoErrors();
});

test('the page shares its messages with REST and the Directus socket', async () => {
	const socket = await Socket.open(server.origin);
	await socket.subscribe(['id', 'content', 'user_created.first_name']);
	const page = await TopicsPage.open(browser, server.origin);

	await page.say('from the page');
	const event = await socket.take(({ event }) => event === 'create', 'the event');
	const [{ id, content, user_created: author }] = event.data;
	assert.deepEqual({ content, author }, { content: 'from the page', author: { first_name: 'Guest' } });
	const rows = await administrator.allMessages();
	assert.ok(rows.some((row) => row.id === id && row.content === 'from the page'));
	await page.last('from the page');

	const alice = await administrator.person('Alice');
	const { id: theirs } = await alice.rest.post('from REST');
	assert.equal(await page.last('from REST'), 'Alice');
	await alice.rest.call('PATCH', `/items/messages/${theirs}`, { content: 'from REST, changed' });
	await administrator.data('PATCH', `/items/messages/${theirs}`, { content: 'changed' });
	assert.equal(await page.last('changed'), 'Alice');
	await administrator.data('DELETE', `/items/messages/${theirs}`);
	await page.last('from the page');
	await socket.ask({ type: 'items', action: 'create', collection: 'messages', data: { content: 'from the socket' } });
	await page.last('from the socket');

	socket.close();
	page.assertNoErrors();
});

test('the history is shown after a reload and after a server restart', async () => {
	const page = await TopicsPage.open(browser, server.origin);
	await page.say('to be kept');
	const name = await page.last('to be kept');
	const lines = await page.lines();

	await page.reload();
	assert.equal(await page.last('to be kept'), name);
	assert.deepEqual(await page.lines(), lines);

	await server.restart();
	await page.shows('Disconnected');
	await page.reload();
	assert.equal(await page.last('to be kept'), name);
	assert.deepEqual(await page.lines(), lines);
	await page.users(1);
	page.assertNoErrors();
});

test('a signed-in user appears by first name, and a guest by id', async () => {
	const alice = await administrator.person('Alice');
	const [hers, guest] = [await TopicsPage.open(browser, server.origin), await TopicsPage.open(browser, server.origin)];
	await hers.page.evaluate(async ({ email, password }) => {
		const body = JSON.stringify({ email, password, mode: 'session' });
		const answer = await fetch('/auth/login', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
		if (!answer.ok) throw new Error(`the sign-in was refused: ${answer.status}`);
	}, alice);
	await hers.reload();

	await hers.say('it is me');
	assert.equal(await guest.last('it is me'), 'Alice');
	await guest.say('and who am I?');
	assert.match(await hers.last('and who am I?'), UUID);

	await hers.screenshot('topics-two-people.png');
	hers.assertNoErrors();
	guest.assertNoErrors();
});

test('a closed browser is not counted', async () => {
	const page = await TopicsPage.open(browser, server.origin);
	const other = await launchBrowser();
	const context = await other.newContext();
	const tab = await context.newPage();
	await tab.goto(server.origin);
	await page.users(2);

	await other.close();

	await page.users(1);
	page.assertNoErrors();
});

test('a page with autoReconnect and heartbeat stays connected and reconnects', async () => {
	const publicDirectory = await buildTopicsPage('{ autoReconnect: { retries: -1, delay: 300 }, heartbeat: true }');
	const own = await Server.start({ demo: true, publicDirectory });
	try {
		const page = await TopicsPage.open(browser, own.origin);
		await page.say('before');
		await page.last('before');
		const socket = page.window.socket;
		// Longer than the page's timeout for an answer to its `ping`: without one, it would have closed the socket.
		await sleep(4_000);
		assert.ok(socket.open, 'the page gave its connection up');
		assert.ok(socket.received.filter((frame) => frame === 'ping').length >= 2);
		assert.equal(page.window.sockets.length, 1);

		await own.restart();
		await page.window.until(() => page.window.sockets.length > 1 && page.window.socket.received.length > 0, 'the page to come back');
		await page.users(1);
		await page.say('after');
		await page.last('after');
		// While the server was down, the browser reported failed connections.
		page.assertNoErrors([/WebSocket connection to .* failed/]);
	} finally {
		await own.dispose(failed);
	}
});

test('the unchanged page receives messages again after a server restart and a reload', async () => {
	const own = await Server.start({ demo: true, publicDirectory: await buildTopicsPage() });
	try {
		const alice = await (await Administrator.signIn(own)).person('Alice');
		const page = await TopicsPage.open(browser, own.origin);
		await page.say('before');
		await page.last('before');

		for (const way of ['SIGTERM', 'SIGKILL']) {
			await own.end(way);
			await page.shows('Disconnected');
			await own.launch();
			// Without `autoReconnect`, the module connects once for each load of the page.
			await sleep(1_000);
			assert.equal(page.window.socket.open, false, 'the page came back by itself');
			await page.reload();

			await alice.rest.post(`from REST after ${way}`);
			assert.equal(await page.last(`from REST after ${way}`), 'Alice');
		}
		page.assertNoErrors();
	} finally {
		await own.dispose(failed);
	}
});

test('a page with autoReconnect receives messages after a server restart', async () => {
	const publicDirectory = await buildTopicsPage('{ autoReconnect: { retries: -1, delay: 300 } }');
	const own = await Server.start({ demo: true, publicDirectory });
	try {
		const alice = await (await Administrator.signIn(own)).person('Alice');
		const [page, other] = [await TopicsPage.open(browser, own.origin), await TopicsPage.open(browser, own.origin)];
		await other.say('before');
		await page.last('before');

		for (const way of ['SIGTERM', 'SIGKILL']) {
			await own.end(way);
			await page.shows('Disconnected');
			await own.launch();
			await page.users(2);
			await other.users(2);

			await alice.rest.post(`from REST after ${way}`);
			assert.equal(await page.last(`from REST after ${way}`), 'Alice');
			await other.say(`from the other after ${way}`);
			await page.last(`from the other after ${way}`);
			assert.deepEqual(await page.lines(), await other.lines());
		}
		for (const one of [page, other]) one.assertNoErrors([/WebSocket connection to .* failed/]);
	} finally {
		await own.dispose(failed);
	}
});
