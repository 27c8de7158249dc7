// Chromium, and browser windows that record uncaught errors, console errors, every request, and every frame of every
// WebSocket. A failed test leaves a screenshot of each of its windows in artifacts/.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { keepCookie, keepSecretsOfText } from './evidence.mjs';
import { artifact } from './paths.mjs';
import { until } from './wait.mjs';

const CANDIDATES = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export async function launchBrowser() {
	const executablePath = CANDIDATES.find((candidate) => candidate && existsSync(candidate));
	assert.ok(executablePath, 'no Chromium found: run `make setup`, or set CHROMIUM to its path');
	return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

/** Records the credentials in a response. After its window is closed, a response has no body. */
async function keepSecretsOfAnswer(response) {
	if (!/\/(auth|users)\//.test(response.url())) return;
	try {
		for (const { name, value } of await response.headersArray()) if (name.toLowerCase() === 'set-cookie') value.split('\n').forEach(keepCookie);
		keepSecretsOfText(await response.text());
	} catch {
		// The window is closed.
	}
}

/** One browser window with its own storage. */
export class Window {
	static all = new Set();

	static async open(browser, options = {}) {
		const context = await browser.newContext(options);
		context.setDefaultTimeout(30_000);
		const window = new Window();
		window.context = context;
		window.page = await context.newPage();
		window.errors = [];
		window.requests = [];
		window.sockets = [];
		window.page.on('pageerror', (error) => window.errors.push(`uncaught: ${error?.message ?? error}`));
		window.page.on('console', (message) => {
			if (message.type() !== 'error') return;
			// The browser's report of a failed request names the URL only in its location.
			const { url } = message.location();
			const request = message.text().startsWith('Failed to load resource') && URL.canParse(url) ? ` [${new URL(url).pathname}]` : '';
			window.errors.push(`console: ${message.text()}${request}`);
		});
		window.page.on('crash', () => window.errors.push('the page crashed'));
		window.page.on('request', (request) => {
			window.requests.push(request.url());
			keepSecretsOfText(request.postData());
		});
		window.page.on('response', (response) => void keepSecretsOfAnswer(response));
		window.page.on('websocket', (socket) => window.#watch(socket));
		// Playwright has no event for an opened WebSocket. The browser has one, right before the page is notified.
		window.handshakes = 0;
		const devtools = await context.newCDPSession(window.page);
		devtools.on('Network.webSocketHandshakeResponseReceived', ({ response }) => {
			if (response.status === 101) window.handshakes += 1;
		});
		await devtools.send('Network.enable');
		Window.all.add(window);
		return window;
	}

	#watch(socket) {
		this.requests.push(socket.url());
		const record = { url: socket.url(), sent: [], received: [], open: true };
		const parse = ({ payload }) => {
			keepSecretsOfText(payload.toString());
			try {
				return JSON.parse(payload.toString());
			} catch {
				return payload;
			}
		};
		socket.on('framesent', (frame) => record.sent.push(parse(frame)));
		socket.on('framereceived', (frame) => record.received.push(parse(frame)));
		socket.on('close', () => (record.open = false));
		this.sockets.push(record);
	}

	/** The window's newest WebSocket. */
	get socket() {
		return this.sockets.at(-1);
	}

	/** All errors so far, except those that equal a text in `expected` or match a pattern in it. */
	unexpectedErrors(expected = []) {
		const fits = (text) => expected.some((one) => (one instanceof RegExp ? one.test(text) : one === text));
		return this.errors.filter((text) => !fits(text));
	}

	/** Requests and sockets to origins other than the page's own. */
	foreignRequests() {
		const { host } = new URL(this.page.url());
		return this.requests.filter((url) => !url.startsWith('data:') && !url.startsWith('blob:') && new URL(url).host !== host);
	}

	/** Waits for a condition on the window's activity. On timeout, the error includes the frames of its newest socket. */
	async until(probe, what, options) {
		try {
			return await until(probe, what, options);
		} catch (error) {
			const { sent = [], received = [] } = this.socket ?? {};
			const tail = (frames) => JSON.stringify(frames.slice(-8)).slice(0, 2_000);
			error.message += `\nsockets opened: ${this.sockets.length}; newest sent: ${tail(sent)}\nreceived: ${tail(received)}\nerrors: ${JSON.stringify(this.errors)}`;
			throw error;
		}
	}

	screenshot(name) {
		return this.page.screenshot({ path: artifact(name), fullPage: true });
	}

	async close() {
		Window.all.delete(this);
		await this.context.close();
	}

	/** For `afterEach` hooks: saves the screen and the frames of a failed test, then closes every window. */
	static async closeAll(test) {
		const failed = test?.passed === false;
		for (const [index, window] of [...Window.all].entries()) {
			if (failed) {
				const name = `failed-${test.fullName ?? test.name}-${index + 1}`;
				await window.screenshot(`${name}.png`).catch(() => {});
				writeFileSync(artifact(`${name}.json`), JSON.stringify({ errors: window.errors, sockets: window.sockets }, null, '\t'));
			}
			await window.close().catch(() => {});
		}
	}
}
