// The tutorial "Build a Realtime Chat App with Directus and Nuxt" with the unmodified SDK in Chromium: its page built as
// written, served by `chinwag serve --demo --public`. First the tutorial's own steps, one by one.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { launchBrowser, Window } from '../lib/browser.mjs';
import { buildPage } from '../lib/build_page.mjs';
import { Administrator } from '../lib/rest.mjs';
import { Server } from '../lib/server.mjs';
import { TutorialPage } from '../lib/tutorial_page.mjs';
import { sleep, until } from '../lib/wait.mjs';

for (const sdk of ['sdk-26', 'sdk-21']) {
	describe(`the tutorial with ${sdk}`, () => {
		let browser, server, administrator, alice, bob;
		let failed = false;
		const open = () => TutorialPage.open(browser, server.origin);
		const signedIn = (person) => TutorialPage.signedIn(browser, server.origin, person);

		before(async () => {
			server = await Server.start({ demo: true, publicDirectory: await buildPage(sdk) });
			administrator = await Administrator.signIn(server);
			[alice, bob] = [await administrator.person('Alice'), await administrator.person('Bob')];
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

		test('the page connects to /websocket, shows the login form, and sends no frames', async () => {
			const chat = await open();

			await chat.connected();

			assert.equal(new URL(chat.socket.url).pathname, '/websocket');
			assert.equal(await chat.page.getByRole('heading', { name: 'Login' }).count(), 1);
			assert.equal(await chat.page.getByRole('heading', { name: 'Chat', exact: true }).count(), 0);
			assert.deepEqual([...chat.socket.sent, ...chat.socket.received], []);
			chat.assertNoErrors();
		});

		test('sign-in returns a refresh token, which the page stores, and shows the chat', async () => {
			const chat = await signedIn(alice);

			const [answer] = chat.socket.received;
			assert.deepEqual(chat.socket.sent[0], { type: 'auth', email: alice.email, password: alice.password });
			assert.deepEqual(answer, { type: 'auth', status: 'ok', refresh_token: await chat.storedToken() });
			assert.match(answer.refresh_token, /^[\w-]{20,}$/);
			assert.equal(await chat.page.getByRole('heading', { name: 'Login' }).count(), 0);
			chat.assertNoErrors();
		});

		test('a wrong password keeps the form and the socket, and the right one then works', async () => {
			const chat = await open();
			await chat.connected();

			await chat.signIn({ ...alice, password: 'not the password' });
			await chat.window.until(() => chat.received('auth').length === 1, 'the refusal');

			const [refusal] = chat.received('auth');
			assert.equal(refusal.status, 'error');
			assert.equal(refusal.error.code, 'AUTH_FAILED');
			assert.equal(await chat.storedToken(), null);
			assert.equal(await chat.page.getByRole('heading', { name: 'Login' }).count(), 1);

			await chat.signIn(alice);
			await chat.ready();

			assert.equal(chat.connections, 1, 'the socket should have stayed open');
			chat.assertNoErrors();
		});

		test('sign-in shows the last ten messages, the newest at the bottom', async () => {
			const lines = [];
			for (let number = 1; number <= 12; number++) {
				const { date_created: date } = await bob.rest.post(`history ${number}`);
				// Each in its own millisecond, since the page sorts by creation time.
				await until(() => Date.now() > Date.parse(date), 'the next millisecond', { every: 1 });
				lines.push(`Bob: history ${number}`);
			}

			const chat = await signedIn(alice);

			await chat.sees('Bob: history 12');
			assert.deepEqual(await chat.shown(), lines.slice(-10));
			chat.assertNoErrors();
		});

		test('a message created over REST appears, with the first name of its author', async () => {
			const chat = await signedIn(alice);

			const { id } = await bob.rest.post('hello over REST');

			await chat.seesOnce('Bob: hello over REST');
			const event = chat.received('subscription').find(({ event }) => event === 'create');
			assert.equal(event.uid, 'messages-subscription');
			assert.equal(event.data.length, 1);
			assert.equal(event.data[0].id, id);
			assert.equal(event.data[0].content, 'hello over REST');
			assert.deepEqual(event.data[0].user_created, { first_name: 'Bob' });
			assert.match(event.data[0].date_created, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
			chat.assertNoErrors();
		});

		test('two users talk to each other', async () => {
			const [hers, his] = [await signedIn(alice), await signedIn(bob)];

			await hers.send('anybody here?');
			await his.seesOnce('Alice: anybody here?');
			await his.send('yes, me');
			await hers.seesOnce('Bob: yes, me');

			assert.deepEqual((await hers.shown()).slice(-2), ['Alice: anybody here?', 'Bob: yes, me']);
			assert.deepEqual((await his.shown()).slice(-2), ['Alice: anybody here?', 'Bob: yes, me']);
			hers.assertNoErrors();
			his.assertNoErrors();
		});

		test('a sent message is stored with its author and shown once, and the input is cleared', async () => {
			const chat = await signedIn(alice);

			await chat.send('typed into the page');

			await chat.seesOnce('Alice: typed into the page');
			assert.equal(await chat.page.locator('#text').inputValue(), '');
			const [sent] = chat.sent('items').filter(({ action }) => action === 'create');
			const answer = await chat.window.until(() => chat.received('items').find(({ uid }) => uid === sent.uid), 'the answer to the create');
			assert.equal(answer.data.user_created, alice.id);
			const stored = (await administrator.allMessages('id,content,user_created')).filter(({ content }) => content === 'typed into the page');
			assert.deepEqual(stored, [{ id: answer.data.id, content: 'typed into the page', user_created: alice.id }]);
			chat.assertNoErrors();
		});

		test('a logout gets no response, shows the form, hides the messages and keeps the socket', async () => {
			const chat = await signedIn(alice);
			await bob.rest.post('before the logout');
			await chat.sees('Bob: before the logout');
			const answers = chat.socket.received.length;

			await chat.logout();

			await chat.page.getByRole('heading', { name: 'Login' }).waitFor();
			assert.deepEqual(await chat.shown(), []);
			assert.equal(await chat.storedToken(), null);
			const { uid, ...logout } = chat.socket.sent.at(-1);
			assert.deepEqual(logout, { type: 'auth', action: 'logout' });
			// Frames of one socket are answered in order: an answer to the logout would precede this refusal.
			await chat.signIn({ ...alice, password: 'not the password' });
			await chat.window.until(() => chat.received('auth').length === 2, 'the refusal');
			assert.deepEqual(chat.socket.received.slice(answers).map(({ type, status }) => [type, status]), [['auth', 'error']]);
			assert.equal(chat.connections, 1);
			chat.assertNoErrors();
		});

		test('another user signs in on the same page and continues there', async () => {
			const chat = await signedIn(alice);
			await chat.send('the first of us');
			await chat.sees('Alice: the first of us');
			await chat.logout();
			await chat.page.getByRole('heading', { name: 'Login' }).waitFor();

			await chat.signIn(bob);
			await chat.page.getByRole('heading', { name: 'Chat', exact: true }).waitFor();

			await chat.sees('Alice: the first of us');
			await chat.send('the second of us');
			await chat.seesOnce('Bob: the second of us');
			await alice.rest.post('news for the second');
			await chat.seesOnce('Alice: news for the second');
			assert.equal(chat.connections, 1);
			// The list of messages is not empty this time, so the page neither reads nor subscribes again.
			assert.equal(chat.sent('subscribe').length, 1);
			chat.assertNoErrors();
		});

		test('each reload signs in with the refresh token of the previous load', async () => {
			const chat = await signedIn(alice);
			await bob.rest.post('before the reload');
			await chat.sees('Bob: before the reload');

			for (const round of [1, 2, 3]) {
				const token = await chat.storedToken();
				await chat.reload();
				const { uid, ...auth } = chat.socket.sent[0];
				assert.deepEqual(auth, { type: 'auth', refresh_token: token });
				const next = await chat.storedToken();
				assert.deepEqual(chat.socket.received[0], { type: 'auth', status: 'ok', uid, refresh_token: next });
				assert.notEqual(next, token);
				await chat.sees('Bob: before the reload');
				await chat.send(`sent after reload ${round}`);
				await chat.seesOnce(`Alice: sent after reload ${round}`);
			}
			chat.assertNoErrors();
		});

		test('fifteen seconds on the login form keep the connection open', async () => {
			const chat = await open();
			await chat.connected();

			await sleep(15_000);

			assert.equal(chat.connections, 1, 'the socket should have stayed open');
			await chat.signIn(alice);
			await chat.ready();
			await chat.send('took my time');
			await chat.seesOnce('Alice: took my time');
			chat.assertNoErrors();
		});

		test('markup is shown as text and not executed', async () => {
			const texts = ['<script>window.executed = 1</script>', '<img src="x:" onerror="window.executed = 2">', '<b>bold</b> &amp; {{ 6 * 7 }}'];
			const [hers, his] = [await signedIn(alice), await signedIn(bob)];

			for (const text of texts) await his.send(text);

			for (const text of texts) await hers.seesOnce(`Bob: ${text}`);
			await hers.reload();
			for (const text of texts) await hers.seesOnce(`Bob: ${text}`);
			assert.equal(await hers.lines.locator('*').count(), 0, 'a message became markup');
			assert.equal(await hers.page.evaluate(() => window.executed), undefined);
			hers.assertNoErrors();
			his.assertNoErrors();
		});

		test('fifty messages sent at once arrive everywhere in order and once, also in the history', async () => {
			const texts = Array.from({ length: 50 }, (_, index) => `burst ${String(index + 1).padStart(2, '0')}`);
			const lines = texts.map((text) => `Alice: ${text}`);
			const [hers, his] = [await signedIn(alice), await signedIn(bob)];

			await hers.sendAll(texts);

			for (const chat of [hers, his]) {
				await chat.sees(lines.at(-1));
				assert.deepEqual((await chat.shown()).filter((line) => line.includes('burst')), lines);
			}
			const stored = await administrator.allMessages();
			assert.deepEqual(stored.map(({ content }) => content).filter((content) => content.startsWith('burst')), texts);
			await his.reload();
			await his.sees(lines.at(-1));
			assert.deepEqual(await his.shown(), lines.slice(-10));
			hers.assertNoErrors();
			his.assertNoErrors();
		});
	});
}
