// The client of swagger-typescript-api.
import { Api, type MessageFilter } from '../.generated/clients/swagger-typescript-api/api';

export async function talk(baseUrl: string, email: string, password: string, content: string): Promise<string[]> {
	const client = new Api<string>({
		baseUrl,
		securityWorker: (token) => (token === null ? {} : { headers: { authorization: `Bearer ${token}` } }),
	});
	const tokens = await client.auth.login({ email, password });
	client.setSecurityData(tokens.data.data.access_token ?? null);

	await client.items.createMessages({ content });

	const filter: MessageFilter = { content: { _eq: content }, user_created: { first_name: { _eq: 'Typed' } } };
	const listed = await client.items.readMessages({ filter: JSON.stringify(filter), sort: '-id' });
	return listed.data.data.map((message) => String(message.content));
}

/** Never called: mistakes that the types have to notice, or this file does not compile. */
export async function misuse(): Promise<void> {
	// @ts-expect-error A login needs a password.
	await new Api().auth.login({ email: 'alice@example.com' });
	// @ts-expect-error There is no such operator.
	const filter: MessageFilter = { content: { _nope: 'x' } };
	void filter;
}
