// REST calls, with shortcuts for frequent ones: signing in, creating accounts, posting and reading messages. Responses are
// returned in full, so that a failed assertion can show them.
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

	/** The same server with another account's token. */
	as(token) {
		return new Rest(this.origin, token);
	}

	/** Sends one request; never throws because of the status. */
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
			// Not JSON: `text` holds it.
		}
		keepSecretsOf({ token: this.token, body, json });
		for (const line of answer.headers.getSetCookie()) keepCookie(line);
		if (answer.status >= 400) keepError(text);
		return { status: answer.status, headers: answer.headers, text, json, data: json?.data, code: json?.errors?.[0]?.extensions?.code };
	}

	/** Sends one request that must succeed, and returns its `data`. */
	async data(method, path, body) {
		const answer = await this.call(method, path, body);
		assert.ok(answer.status === 200 || answer.status === 204, `${method} ${path} gave ${answer.status}: ${answer.text.slice(0, 500)}`);
		return answer.data;
	}

	post(content) {
		return this.data('POST', '/items/messages', { content });
	}

	/** All messages, page by page in the order of ids, so that no limit hides any. */
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

/** The server with administrator access, and shortcuts for creating accounts. */
export class Administrator extends Rest {
	static async signIn(server, credentials = ADMIN) {
		const data = await new Rest(server.origin).data('POST', '/auth/login', credentials);
		return new Administrator(server.origin, data.access_token);
	}

	/** Creates an account as in the tutorial: a first name, no role, and the Public policy. */
	async person(firstName) {
		const person = await this.#create(firstName, {});
		await this.data('POST', '/access', { user: person.id, policy: await this.publicPolicy() });
		return person;
	}

	/** Creates an account with the initial role: it may write, and edit and delete its own messages. */
	async member(firstName) {
		const [role] = await this.data('GET', '/roles?filter[name][_eq]=Member&fields=id&limit=1');
		return this.#create(firstName, { role: role.id });
	}

	/** Creates an account. Its `rest` uses a static token, which needs no sign-in and never expires. */
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
