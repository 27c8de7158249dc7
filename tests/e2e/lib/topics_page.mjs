// The page of the nuxt-ws example, used through its user interface, never through its own code.
import assert from 'node:assert/strict';
import { Window } from './browser.mjs';

export class TopicsPage {
	static async open(browser, origin) {
		const chat = new TopicsPage();
		chat.window = await Window.open(browser);
		chat.page = chat.window.page;
		await chat.page.goto(origin);
		await chat.connected();
		return chat;
	}

	async connected() {
		await this.shows('Connected, Users: ');
	}

	/** Waits until the page shows this text anywhere. */
	async shows(text) {
		await this.page.getByText(text).first().waitFor({ timeout: 15_000 });
	}

	async users(count) {
		await this.page.getByText(`Connected, Users: ${count}`, { exact: true }).waitFor();
	}

	/** The chat on the page: a line of text per message, `name: text`. */
	async lines() {
		const all = await this.page.locator('#__nuxt > div > div').allTextContents();
		return all.slice(1).map((text) => text.trim());
	}

	/** Waits until the last line has this text, and returns the name beside it. */
	async last(text) {
		return this.window.until(async () => {
			const last = (await this.lines()).at(-1) ?? '';
			return last.endsWith(`: ${text}`) && last.slice(0, -text.length - 2);
		}, `the line ${JSON.stringify(text)}`);
	}

	async say(text) {
		await this.page.locator('input').fill(text);
		await this.page.locator('input').press('Enter');
	}

	screenshot(name) {
		return this.window.screenshot(name);
	}

	async reload() {
		await this.page.reload();
		await this.connected();
	}

	assertNoErrors(expected = []) {
		assert.deepEqual(this.window.unexpectedErrors(expected), [], 'the page reported errors');
	}
}
