// The client of orval for axios.
import { getChinwag, type MessageFilter } from '../.generated/clients/orval-axios/api';

export async function talk(baseURL: string, email: string, password: string, content: string): Promise<string[]> {
	const client = getChinwag();
	const tokens = await client.login({ email, password }, { baseURL });
	const options = { baseURL, headers: { authorization: `Bearer ${tokens.data.data.access_token}` } };

	await client.createMessages({ content }, undefined, options);

	const filter: MessageFilter = { content: { _eq: content }, user_created: { first_name: { _eq: 'Typed' } } };
	const listed = await client.readMessages({ filter: JSON.stringify(filter), sort: '-id' }, options);
	return listed.data.data.map((message) => String(message.content));
}

/** Never called: mistakes that the types have to notice, or this file does not compile. */
export async function misuse(): Promise<void> {
	// @ts-expect-error A login needs a password.
	await getChinwag().login({ email: 'alice@example.com' });
	// @ts-expect-error There is no such operator.
	const filter: MessageFilter = { content: { _nope: 'x' } };
	void filter;
}
