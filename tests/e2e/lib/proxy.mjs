// The network between browser and server, on the loopback interface, with the faults of real ones: connections that end
// (FIN), that are torn down (RST), that are accepted and then hang, that fall silent, and a network that is not there.
import { once } from 'node:events';
import net from 'node:net';

export class Proxy {
	#pairs = new Set();
	#waiting = [];
	#stalled = false;

	static async start(targetPort) {
		const proxy = new Proxy();
		proxy.targetPort = targetPort;
		await proxy.up();
		return proxy;
	}

	get origin() {
		return `http://127.0.0.1:${this.port}`;
	}

	/** Connections that were accepted and hang. */
	get waiting() {
		return this.#waiting.length;
	}

	/** Ends every connection as a process that goes away does: FIN after what is under way. */
	cut() {
		for (const { client, upstream } of this.#pairs) {
			client.end();
			upstream.destroy();
		}
	}

	/** Tears every connection down: RST. */
	reset() {
		for (const { client, upstream } of this.#pairs) {
			client.resetAndDestroy();
			upstream.destroy();
		}
	}

	/** Nothing flows any more on the connections of now, and neither side is told: a cable is pulled. */
	freeze() {
		for (const { client, upstream } of this.#pairs) {
			client.unpipe(upstream).pause();
			upstream.unpipe(client).pause();
		}
	}

	/** From now on new connections are accepted and hang. */
	stall() {
		this.#stalled = true;
	}

	/** Everything flows again, what hangs first. */
	pass() {
		this.#stalled = false;
		for (const client of this.#waiting.splice(0)) this.#relay(client);
	}

	/** There is no network: connections end, new ones are refused. */
	async down() {
		const closed = once(this.listener, 'close');
		this.listener.close();
		this.reset();
		await closed;
	}

	async up() {
		this.listener = net.createServer({ noDelay: true, pauseOnConnect: true, allowHalfOpen: true }, (client) => {
			client.on('error', () => {});
			if (this.#stalled) this.#waiting.push(client);
			else this.#relay(client);
		});
		this.listener.listen(this.port ?? 0, '127.0.0.1');
		await once(this.listener, 'listening');
		this.port = this.listener.address().port;
	}

	async stop() {
		for (const client of this.#waiting.splice(0)) client.destroy();
		if (this.listener.listening) await this.down();
	}

	#relay(client) {
		const upstream = net.connect({ port: this.targetPort, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
		const pair = { client, upstream };
		this.#pairs.add(pair);
		const forget = () => {
			this.#pairs.delete(pair);
			client.destroy();
			upstream.destroy();
		};
		upstream.once('error', () => client.resetAndDestroy());
		client.once('close', forget);
		upstream.once('close', () => {
			// What the server said last still has to reach the browser.
			if (client.writableEnded && client.writableFinished) forget();
			else client.end(forget);
		});
		client.pipe(upstream);
		upstream.pipe(client);
	}
}
