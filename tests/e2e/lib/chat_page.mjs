// The built-in chat page, used through its user interface and test ids, never through its own code.
import assert from 'node:assert/strict';
import { Window } from './browser.mjs';

export const WRONG_PASSWORD = 'console: Failed to load resource: the server responded with a status of 401 (Unauthorized) [/auth/login]';
/** The browser's own reports while there is no network. */
export const NO_NETWORK = [/^console: WebSocket connection to 'ws:[^']*' failed: /, /^console: Failed to load resource: net::ERR_/];

export class ChatPage {
	static async open(browser, origin, options) {
		const chat = new ChatPage();
		chat.window = await Window.open(browser, options);
		chat.page = chat.window.page;
		for (const [name, testId] of Object.entries({
			form: 'login-form',
			email: 'login-email',
			password: 'login-password',
			submit: 'login-submit',
			error: 'login-error',
			status: 'status',
			messages: 'message',
			composer: 'composer',
			sendButton: 'send',
			logout: 'logout',
			loadEarlier: 'load-earlier',
		})) {
			chat[name] = chat.page.getByTestId(testId);
		}
		await chat.page.goto(origin);
		return chat;
	}

	static async signedIn(browser, origin, person, options) {
		const chat = await ChatPage.open(browser, origin, options);
		await chat.signIn(person);
		await chat.connected();
		return chat;
	}

	async signIn({ email, password }) {
		await this.email.fill(email);
		await this.password.fill(password);
		await this.submit.click();
	}

	/** Waits until the page is signed in, shows the history and is subscribed. */
	async connected(ms = 30_000) {
		await this.page.locator('[data-testid=status][data-state=connected]').waitFor({ state: 'attached', timeout: ms });
	}

	async disconnected(ms = 30_000) {
		await this.page.locator('[data-testid=status]:not([data-state=connected])').waitFor({ state: 'attached', timeout: ms });
	}

	/** The stored messages on the page, from top to bottom. */
	async shown() {
		return this.messages.evaluateAll((items) =>
			items
				.filter((item) => item.dataset.id)
				.map((item) => ({
					id: Number(item.dataset.id),
					text: item.querySelector('[data-testid=message-text]').textContent,
					author: item.querySelector('[data-testid=message-author]').textContent,
					own: item.dataset.own === 'true',
				})),
		);
	}

	async texts() {
		return (await this.shown()).map(({ text }) => text);
	}

	/** Waits until the page shows the text exactly once, as a stored message, and returns the message. */
	async sees(text, ms) {
		const message = await this.window.until(async () => (await this.shown()).find((message) => message.text === text), `${JSON.stringify(text)} on the page`, { ms });
		assert.equal((await this.texts()).filter((other) => other === text).length, 1, `${text} is shown more than once`);
		return message;
	}

	async misses(text) {
		await this.window.until(async () => !(await this.texts()).includes(text), `${JSON.stringify(text)} to leave the page`);
	}

	async send(text) {
		await this.composer.fill(text);
		await this.sendButton.click();
	}

	message(id) {
		return this.page.locator(`[data-testid=message][data-id="${id}"]`);
	}

	/** Asserts that there are no errors but the expected ones, and no requests to other origins. */
	assertClean(expected = []) {
		assert.deepEqual(this.window.unexpectedErrors(expected), [], 'the page reported errors');
		assert.deepEqual(this.window.foreignRequests(), [], 'a request left the origin');
	}
}
