// A small program with the types of openapi-typescript: signs in, writes, reads with a filter. Compiled under --strict and
// then run. The other files here do the same with the clients of other generators.
import createClient from 'openapi-fetch';
import type { components, paths } from '../.generated/clients/openapi-typescript/api';

export async function talk(baseUrl: string, email: string, password: string, content: string): Promise<string[]> {
	const client = createClient<paths>({ baseUrl });

	const login = await client.POST('/auth/login', { body: { email, password } });
	if (login.error !== undefined) throw new Error(`login failed: ${JSON.stringify(login.error)}`);
	const headers = { authorization: `Bearer ${login.data.data.access_token}` };

	const created = await client.POST('/items/messages', { headers, body: { content } });
	if (created.error !== undefined) throw new Error(`create failed: ${JSON.stringify(created.error)}`);

	const filter: components['schemas']['MessageFilter'] = { content: { _eq: content }, user_created: { first_name: { _eq: 'Typed' } } };
	const listed = await client.GET('/items/messages', { params: { query: { filter: JSON.stringify(filter), sort: '-id' } }, headers });
	if (listed.error !== undefined) throw new Error(`list failed: ${JSON.stringify(listed.error)}`);
	return listed.data.data.map((message) => String(message.content));
}

/** Never called: mistakes that the types must reject, or this file does not compile. */
export async function misuse(): Promise<void> {
	const client = createClient<paths>();
	// @ts-expect-error There is no such path.
	await client.GET('/no/such/path');
	// @ts-expect-error A login needs a password.
	await client.POST('/auth/login', { body: { email: 'alice@example.com' } });
	// @ts-expect-error There is no such operator.
	const filter: components['schemas']['MessageFilter'] = { content: { _nope: 'x' } };
	void filter;
}
