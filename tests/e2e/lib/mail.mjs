// A real SMTP server (smtp-server) for the binary's mails, on a fixed port so that it can be down at first.
import { once } from 'node:events';
import { SMTPServer } from 'smtp-server';
import { keepSecret } from './evidence.mjs';
import { until } from './wait.mjs';

/** Decodes quoted-printable, RFC 2045, section 6.7. */
const unquote = (text) => text.replaceAll('=\r\n', '').replace(/(=[0-9A-F]{2})+/g, (bytes) => decodeURIComponent(bytes.replaceAll('=', '%')));

function part(raw, type) {
	const found = new RegExp(`Content-Type: ${type}[^]*?\r\n\r\n([^]*?)\r\n--`).exec(raw);
	const head = found[0].slice(0, found[0].indexOf('\r\n\r\n'));
	if (/base64/i.test(head)) return Buffer.from(found[1], 'base64').toString();
	return /quoted-printable/i.test(head) ? unquote(found[1]) : found[1];
}

export class MailServer {
	/** All accepted mails: { to, raw, text, html, link, secure, user }. */
	mails = [];
	#server = null;

	constructor(port, options = {}) {
		this.port = port;
		this.options = options;
	}

	async start() {
		const mails = this.mails;
		this.#server = new SMTPServer({
			authOptional: !this.options.onAuth,
			disabledCommands: this.options.onAuth ? [] : ['AUTH'],
			logger: false,
			closeTimeout: 1_000,
			...this.options,
			onData(stream, session, done) {
				const chunks = [];
				stream.on('data', (chunk) => chunks.push(chunk));
				stream.on('end', () => {
					const raw = Buffer.concat(chunks).toString();
					const text = part(raw, 'text/plain');
					const to = session.envelope.rcptTo.map(({ address }) => address);
					const link = /^https?:\S+/m.exec(text)[0];
					keepSecret('the token of a mail', new URL(link).searchParams.get('token'));
					mails.push({ to, raw, text, html: part(raw, 'text/html'), link, secure: session.secure, user: session.user });
					done();
				});
			},
		});
		this.#server.on('error', () => {});
		this.#server.listen(this.port, '127.0.0.1');
		await once(this.#server.server, 'listening');
	}

	async stop() {
		const server = this.#server;
		this.#server = null;
		if (server) await new Promise((resolve) => server.close(resolve));
	}

	/** Waits for the mail with this index (from 0) to this address. */
	async mailTo(address, number = 0, ms = 30_000) {
		const found = () => this.mails.filter(({ to }) => to.includes(address))[number];
		await until(() => found() !== undefined, `mail ${number} to ${address}`, { ms });
		return found();
	}
}
