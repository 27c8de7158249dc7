// A real OpenID provider (the package oidc-provider) in the test's process, with its own sign-in pages. It accepts any name
// with any password, and derives all claims from the name. PKCE is required of all clients.
import http from 'node:http';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import Provider from 'oidc-provider';
import { freePort } from './ports.mjs';

export class IdentityProvider {
	/** Starts the provider, with one client that redirects back to these addresses. */
	static async start({ callbacks }) {
		const provider = new IdentityProvider();
		const port = await freePort();
		provider.issuer = `http://127.0.0.1:${port}`;
		provider.client = { id: 'chat', secret: randomBytes(16).toString('hex') };
		const issuer = new Provider(provider.issuer, {
			clients: [
				{
					client_id: provider.client.id,
					client_secret: provider.client.secret,
					redirect_uris: callbacks,
					grant_types: ['authorization_code'],
					response_types: ['code'],
				},
			],
			pkce: { required: () => true },
			claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['given_name', 'family_name'] },
			cookies: { keys: [randomBytes(16).toString('hex')] },
			features: { devInteractions: { enabled: true } },
			findAccount: (_, name) => ({
				accountId: name,
				claims: () => ({ sub: name, email: `${name}@example.com`, email_verified: true, given_name: name, family_name: 'of the provider' }),
			}),
		});
		provider.refusals = [];
		issuer.on('grant.error', (_, error) => provider.refusals.push(error.message));
		issuer.on('authorization.error', (_, error) => provider.refusals.push(error.message));
		issuer.on('server_error', (_, error) => provider.refusals.push(error.stack));
		provider.server = http.createServer(issuer.callback());
		provider.server.listen(port, '127.0.0.1');
		await once(provider.server, 'listening');
		return provider;
	}

	/** The settings of a server that uses this provider under the name `idp`. */
	settings(more = {}) {
		return {
			AUTH_PROVIDERS: 'idp',
			AUTH_IDP_DRIVER: 'openid',
			AUTH_IDP_CLIENT_ID: this.client.id,
			AUTH_IDP_CLIENT_SECRET: this.client.secret,
			AUTH_IDP_ISSUER_URL: `${this.issuer}/.well-known/openid-configuration`,
			...more,
		};
	}

	/** Fills in the provider's pages in a browser: sign-in and consent. */
	async signIn(page, name) {
		await page.waitForURL((url) => url.origin === this.issuer);
		await page.locator('input[name=login]').fill(name);
		await page.locator('input[name=password]').fill('any');
		await page.locator('button[type=submit]').click();
		await page.locator('button[type=submit]', { hasText: 'Continue' }).click();
	}

	async stop() {
		this.server.closeAllConnections();
		this.server.close();
		await once(this.server, 'close');
	}
}
