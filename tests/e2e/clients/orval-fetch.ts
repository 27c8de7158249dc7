// The client of orval for `fetch`, which has its server's address from when it was generated.
import { createMessages, login, type MessageFilter, readMessages } from '../.generated/clients/orval-fetch/api';

export async function talk(_: string, email: string, password: string, content: string): Promise<string[]> {
	const tokens = await login({ email, password });
	if (tokens.status !== 200) throw new Error(`login failed: ${JSON.stringify(tokens.data)}`);
	const options = { headers: { authorization: `Bearer ${tokens.data.data.access_token}` } };

	const created = await createMessages({ content }, undefined, options);
	if (created.status !== 200) throw new Error(`create failed: ${JSON.stringify(created.data)}`);

	const filter: MessageFilter = { content: { _eq: content }, user_created: { first_name: { _eq: 'Typed' } } };
	const listed = await readMessages({ filter: JSON.stringify(filter), sort: '-id' }, options);
	if (listed.status !== 200) throw new Error(`list failed: ${JSON.stringify(listed.data)}`);
	return listed.data.data.map((message) => String(message.content));
}

/** Never called: mistakes that the types have to notice, or this file does not compile. */
export async function misuse(): Promise<void> {
	// @ts-expect-error A login needs a password.
	await login({ email: 'alice@example.com' });
	// @ts-expect-error There is no such operator.
	const filter: MessageFilter = { content: { _nope: 'x' } };
	void filter;
}
