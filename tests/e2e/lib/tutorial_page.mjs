// The tutorial's page, used through its user interface, and its frames. Its own code is never accessed.
import assert from 'node:assert/strict';
import { Window } from './browser.mjs';

const SUBSCRIPTION = 'messages-subscription';
const HISTORY = 'get-recent-messages';

/**
 * Errors caused by the tutorial's `close` handler with any server: it calls `connect()` while the SDK still considers the
 * connection open, and then sends into the closed socket. No other errors may occur on the page.
 */
export const LOST_CONNECTION_ERRORS = [
	'uncaught: Cannot connect when state is "open"',
	'console: WebSocket is already in CLOSING or CLOSED state.',
];

export class TutorialPage {
	static async open(browser, origin) {
		const chat = new TutorialPage();
		chat.window = await Window.open(browser);
		chat.page = chat.window.page;
		chat.lines = chat.page.locator('div:has(> form) > div');
		await chat.page.goto(origin);
		return chat;
	}

	/** Opens the page, signs in, and waits for the history and the subscription. */
	static async signedIn(browser, origin, person) {
		const chat = await TutorialPage.open(browser, origin);
		await chat.connected();
		await chat.signIn(person);
		await chat.ready();
		return chat;
	}

	get socket() {
		return this.window.socket;
	}

	get connections() {
		return this.window.sockets.length;
	}

	sent(type) {
		return this.socket.sent.filter((frame) => frame.type === type);
	}

	received(type) {
		return this.socket.received.filter((frame) => frame.type === type);
	}

	/** Waits until the socket is open, so that a click can use it. */
	async connected() {
		await this.page.getByRole('button', { name: 'Login' }).waitFor();
		await this.window.until(() => this.window.handshakes > 0, 'the page to open its socket');
	}

	async signIn({ email, password }) {
		await this.page.getByPlaceholder('Email').fill(email);
		await this.page.getByPlaceholder('Password').fill(password);
		await this.page.getByRole('button', { name: 'Login' }).click();
	}

	/** Waits until the page is signed in, has read the history and is subscribed, all on the newest socket. */
	async ready() {
		await this.window.until(
			() =>
				this.received('auth').some(({ status }) => status === 'ok') &&
				this.received('items').some(({ uid }) => uid === HISTORY) &&
				this.received('subscription').some(({ event, uid }) => event === 'init' && uid === SUBSCRIPTION),
			'sign-in, history and subscription',
		);
		await this.page.getByRole('heading', { name: 'Chat', exact: true }).waitFor();
	}

	/** Waits until the SDK has reconnected on its own, with a socket later than the first `connections`. */
	async recovered(connections, { signsIn }) {
		await this.window.until(
			() =>
				this.connections > connections &&
				this.sent('subscribe').length === 2 &&
				this.received('subscription').some(({ event, uid }) => event === 'init' && uid === SUBSCRIPTION) &&
				(!signsIn || this.received('auth').some(({ status }) => status === 'ok')),
			'the page to come back by itself',
			{ ms: 20_000 },
		);
	}

	/** Reloads the page, which keeps its stored data. */
	async reload() {
		const before = this.connections;
		await this.page.reload();
		await this.window.until(() => this.connections > before, 'the reloaded page to open its socket');
		await this.ready();
	}

	/** The chat on the page, a line of text per message; empty while the login form is shown. */
	async shown() {
		return (await this.lines.allTextContents()).map((text) => text.trim());
	}

	async sees(line) {
		await this.window.until(async () => (await this.shown()).includes(line), `${JSON.stringify(line)} on the page`);
	}

	async seesOnce(line) {
		await this.sees(line);
		assert.equal((await this.shown()).filter((shown) => shown === line).length, 1, `${line} is shown more than once`);
	}

	async send(text) {
		await this.page.locator('#text').fill(text);
		await this.page.locator('#text').press('Enter');
	}

	/** Submits the form repeatedly without a pause, faster than a person can type. */
	async sendAll(texts) {
		await this.page.evaluate((texts) => {
			const input = document.querySelector('#text');
			for (const text of texts) {
				input.value = text;
				input.dispatchEvent(new Event('input'));
				input.form.requestSubmit();
			}
		}, texts);
	}

	async logout() {
		await this.page.getByRole('button', { name: 'Logout' }).click();
	}

	storedToken() {
		return this.page.evaluate(() => localStorage.getItem('directus_refresh_token'));
	}

	assertNoErrors(expected = []) {
		assert.deepEqual(this.window.unexpectedErrors(expected), [], 'the page reported errors');
	}
}
