// A foreign origin: one empty page that includes the SDK, on its own port.
import http from 'node:http';
import { once } from 'node:events';
import { build } from 'esbuild';
import { SUITE } from './paths.mjs';

/** Returns the SDK as a script that defines the global `sdk`. */
export async function bundle(version) {
	const { outputFiles } = await build({
		stdin: { contents: `export * from '${version}';`, resolveDir: SUITE },
		bundle: true,
		format: 'iife',
		globalName: 'sdk',
		platform: 'browser',
		logLevel: 'silent',
		write: false,
	});
	return outputFiles[0].text;
}

export class Site {
	/** Starts serving the page. `host`: the host name in its origin. */
	static async start({ version = 'sdk-26', host = '127.0.0.1' } = {}) {
		const script = await bundle(version);
		const files = {
			'/': ['text/html', '<!doctype html><title>Elsewhere</title><link rel="icon" href="data:,"><script src="/sdk.js"></script>'],
			'/sdk.js': ['text/javascript', script],
		};
		const site = new Site();
		site.server = http.createServer((request, response) => {
			const [type, text] = files[request.url] ?? ['text/plain', 'nothing here'];
			response.writeHead(files[request.url] ? 200 : 404, { 'content-type': type }).end(text);
		});
		site.server.listen(0, '127.0.0.1');
		await once(site.server, 'listening');
		site.origin = `http://${host}:${site.server.address().port}`;
		return site;
	}

	async stop() {
		this.server.closeAllConnections();
		this.server.close();
		await once(this.server, 'close');
	}
}
