// The client of hey-api.
import { client } from '../.generated/clients/hey-api/client.gen';
import { createMessages, login, readMessages } from '../.generated/clients/hey-api/sdk.gen';
import type { MessageFilter } from '../.generated/clients/hey-api/types.gen';

export async function talk(baseUrl: string, email: string, password: string, content: string): Promise<string[]> {
	client.setConfig({ baseUrl });
	const tokens = await login({ body: { email, password }, throwOnError: true });
	// A request may carry its token in one place only, and the operations name three.
	client.setConfig({ auth: ({ scheme }) => (scheme === 'bearer' ? tokens.data.data.access_token : undefined) });

	await createMessages({ body: { content }, throwOnError: true });

	const filter: MessageFilter = { content: { _eq: content }, user_created: { first_name: { _eq: 'Typed' } } };
	const listed = await readMessages({ query: { filter: JSON.stringify(filter), sort: '-id' }, throwOnError: true });
	return listed.data.data.map((message) => String(message.content));
}

/** Never called: mistakes that the types have to notice, or this file does not compile. */
export async function misuse(): Promise<void> {
	// @ts-expect-error A login needs a password.
	await login({ body: { email: 'alice@example.com' } });
	// @ts-expect-error There is no such operator.
	const filter: MessageFilter = { content: { _nope: 'x' } };
	void filter;
}
