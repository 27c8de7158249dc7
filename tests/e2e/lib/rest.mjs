// One REST call at a time, and the few the tests make again and again: signing in, making people, posting and reading
// messages. Answers come back whole, so that a failed expectation can show them.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { keepCookie, keepError, keepSecretsOf } from './evidence.mjs';
import { ADMIN } from './server.mjs';

export const PASSWORD = 'a long enough password';

export class Rest {
	constructor(origin, token) {
		this.origin = origin;
		this.token = token;
	}

	/** The same server seen by somebody else. */
	as(token) {
		return new Rest(this.origin, token);
	}

	/** One call; never throws because of the status. */
	async call(method, path, body) {
		const answer = await fetch(this.origin + path, {
			method,
			headers: {
				...(this.token ? { authorization: `Bearer ${this.token}` } : {}),
				...(body === undefined ? {} : { 'content-type': 'application/json' }),
			},
			body: body === undefined ? undefined : JSON.stringify(body),
			signal: AbortSignal.timeout(15_000),
		});
		const text = await answer.text();
		let json = null;
		try {
			json = text === '' ? null : JSON.parse(text);
		} catch {
			// Not JSON; `text` has it.
		}
		keepSecretsOf({ token: this.token, body, json });
		for (const line of answer.headers.getSetCookie()) keepCookie(line);
		if (answer.status >= 400) keepError(text);
		return { status: answer.status, headers: answer.headers, text, json, data: json?.data, code: json?.errors?.[0]?.extensions?.code };
	}

	/** One call that has to succeed; gives its `data`. */
	async data(method, path, body) {
		const answer = await this.call(method, path, body);
		assert.ok(answer.status === 200 || answer.status === 204, `${method} ${path} gave ${answer.status}: ${answer.text.slice(0, 500)}`);
		return answer.data;
	}

	post(content) {
		return this.data('POST', '/items/messages', { content });
	}

	/** Every message there is, page by page in the order of ids, so that no cap on a list hides one. */
	async allMessages(fields = 'id,content') {
		const rows = [];
		for (;;) {
			const last = rows.at(-1)?.id ?? 0;
			const filter = encodeURIComponent(JSON.stringify({ id: { _gt: last } }));
			const page = await this.data('GET', `/items/messages?fields=${fields}&sort=id&limit=1000&filter=${filter}`);
			if (page.length === 0) return rows;
			rows.push(...page);
		}
	}
}

/** The server as its administrator sees it, with a way to make people. */
export class Administrator extends Rest {
	static async signIn(server, credentials = ADMIN) {
		const data = await new Rest(server.origin).data('POST', '/auth/login', credentials);
		return new Administrator(server.origin, data.access_token);
	}

	/** Somebody as the tutorial makes them: a first name, no role, the Public policy attached. */
	async person(firstName) {
		const person = await this.#create(firstName, {});
		await this.data('POST', '/access', { user: person.id, policy: await this.publicPolicy() });
		return person;
	}

	/** Somebody with the role that a first start makes: may write, and edit and delete what they wrote. */
	async member(firstName) {
		const [role] = await this.data('GET', '/roles?filter[name][_eq]=Member&fields=id&limit=1');
		return this.#create(firstName, { role: role.id });
	}

	/** `rest` acts as that person by a static token, which needs no sign-in and never expires. */
	async #create(firstName, fields) {
		const email = `${firstName}.${randomBytes(4).toString('hex')}@example.com`.toLowerCase();
		const token = randomBytes(24).toString('hex');
		const { id } = await this.data('POST', '/users', { email, password: PASSWORD, first_name: firstName, status: 'active', token, ...fields });
		return { id, email, password: PASSWORD, firstName, token, rest: this.as(token) };
	}

	async publicPolicy() {
		if (!this.policy) {
			const [row] = await this.data('GET', '/access?filter[role][_null]=true&filter[user][_null]=true&fields=policy&limit=1');
			this.policy = row.policy.id ?? row.policy;
		}
		return this.policy;
	}
}
