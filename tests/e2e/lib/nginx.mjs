// nginx in front of the server, configured with the lines of the README, so that the documented configuration is the tested
// one. TLS uses a certificate made for the run; only addresses, ports and paths differ.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { freePort } from './ports.mjs';
import { environment, freshDirectory } from './server.mjs';
import { until } from './wait.mjs';

const README = new URL('../../../README.md', import.meta.url);

/** The nginx configuration of the README with these replacements. Each replacement must match. */
function snippet(replacements) {
	const block = /```nginx\n(.*?)```/s.exec(readFileSync(README, 'utf8'));
	assert.ok(block, 'the README has lines for nginx');
	return replacements.reduce((text, [there, here]) => {
		assert.ok(text.includes(there), `the README's lines for nginx have no ${JSON.stringify(there)}`);
		return text.replace(there, here);
	}, block[1]);
}

export class Nginx {
	static async start(targetPort) {
		const nginx = new Nginx();
		nginx.port = await freePort();
		const directory = freshDirectory();
		const at = (name) => path.join(directory, name);
		const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
		const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', at('key.pem')];
		execFileSync('openssl', ['req', '-x509', ...key, '-out', at('cert.pem'), '-days', '1', ...subject], { stdio: 'pipe' });
		const site = snippet([
			['listen 443 ssl;', `listen 127.0.0.1:${nginx.port} ssl;`],
			['server_name chat.example.com;', 'server_name localhost;'],
			['# ssl_certificate …; ssl_certificate_key …;', `ssl_certificate ${at('cert.pem')}; ssl_certificate_key ${at('key.pem')};`],
			['http://127.0.0.1:8055', `http://127.0.0.1:${targetPort}`],
		]);
		const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${at(name)};`);
		const configuration = [
			'daemon off; master_process off; error_log stderr;',
			`pid ${at('pid')};`,
			'events { worker_connections 1024; }',
			`http { access_log off; ${temporary.join(' ')}`,
			site,
			'}',
		];
		writeFileSync(at('nginx.conf'), configuration.join('\n'));
		const command = ['-p', directory, '-e', 'stderr', '-c', at('nginx.conf')];
		const search = `${process.env.PATH}:/usr/sbin:/sbin`;
		nginx.child = spawn('nginx', command, { env: { ...environment(), PATH: search }, stdio: ['ignore', 'ignore', 'pipe'] });
		nginx.output = '';
		nginx.child.stderr.setEncoding('utf8').on('data', (text) => (nginx.output += text));
		nginx.ended = new Promise((resolve) => {
			nginx.child.once('error', (error) => resolve({ error }));
			nginx.child.once('close', (code) => resolve({ code }));
		});
		process.once('exit', () => nginx.child.kill('SIGKILL'));
		await nginx.#listening();
		return nginx;
	}

	async #listening() {
		let end = null;
		this.ended.then((how) => (end = how));
		const listens = async () => {
			assert.equal(end, null, `nginx ended: ${end?.error ?? ''} ${this.output}`);
			const socket = net.connect(this.port, '127.0.0.1');
			try {
				await once(socket, 'connect');
				return true;
			} catch {
				return false;
			} finally {
				socket.destroy();
			}
		};
		await until(listens, 'nginx to listen');
	}

	get origin() {
		return `https://localhost:${this.port}`;
	}

	async stop() {
		this.child.kill('SIGKILL');
		await this.ended;
	}
}
