// A small program against the generated types: signs in, writes, reads. Compiled under --strict, and then run.
import createClient from 'openapi-fetch';
import type { paths } from '../.generated/api';

export async function talk(baseUrl: string, email: string, password: string, content: string): Promise<string[]> {
	const client = createClient<paths>({ baseUrl });

	const login = await client.POST('/auth/login', { body: { email, password } });
	if (login.error !== undefined) throw new Error(`login failed: ${JSON.stringify(login.error)}`);
	const token: string | null | undefined = login.data.data.access_token;
	const headers = { authorization: `Bearer ${token}` };

	const created = await client.POST('/items/{collection}', { params: { path: { collection: 'messages' } }, headers, body: { content } });
	if (created.error !== undefined) throw new Error(`create failed: ${JSON.stringify(created.error)}`);

	const listed = await client.GET('/items/{collection}', { params: { path: { collection: 'messages' }, query: { limit: 10, sort: '-id' } }, headers });
	if (listed.error !== undefined) throw new Error(`list failed: ${JSON.stringify(listed.error)}`);
	return listed.data.data.map((message) => String(message.content));
}

/** Never called: mistakes that the types have to notice, or this file does not compile. */
export async function misuse(): Promise<void> {
	const client = createClient<paths>();
	// @ts-expect-error There is no such path.
	await client.GET('/no/such/path');
	// @ts-expect-error A login needs a password.
	await client.POST('/auth/login', { body: { email: 'alice@example.com' } });
}
