// The history of a run with faults, in one order: when each create was sent and acknowledged, and the events that
// subscribers received. `verify` compares it with the stored rows. Independent of sockets and processes.
import assert from 'node:assert/strict';

export class History {
	#largestAcknowledged = 0;

	constructor() {
		this.sent = new Map();
		this.acknowledged = new Map();
		this.refused = new Set();
		this.shown = [];
		this.outOfOrder = [];
	}

	/** Records that a create is about to be sent; returns the argument for `acknowledge`. */
	send(content) {
		assert.equal(this.sent.has(content), false, 'each content is sent once');
		this.sent.set(content, this.#largestAcknowledged);
		return content;
	}

	/** Records an acknowledged create. Its id must be larger than every id acknowledged before it was sent. */
	acknowledge(content, id) {
		const floor = this.sent.get(content);
		if (!(id > floor)) this.outOfOrder.push({ content, id, acknowledgedBefore: floor });
		this.acknowledged.set(content, id);
		this.#largestAcknowledged = Math.max(this.#largestAcknowledged, id);
	}

	/** Records a create that no server accepted: it cannot have been stored. */
	refuse(content) {
		this.refused.add(content);
	}

	/** Records an event that a subscriber received on a connection. */
	show(connection, { id, content }) {
		this.shown.push({ connection, id, content });
	}

	/** The number of creates with unknown outcome: the connection was lost before an answer. */
	get unknown() {
		return this.sent.size - this.acknowledged.size - this.refused.size;
	}

	/** Compares the history with all stored rows, in the order of ids, and returns every contradiction by kind. */
	verify(rows) {
		const stored = new Map(rows.map(({ id, content }) => [id, content]));
		const times = new Map();
		for (const { content } of rows) times.set(content, (times.get(content) ?? 0) + 1);

		const lost = [...this.acknowledged].filter(([content, id]) => stored.get(id) !== content);
		const phantoms = this.shown.filter(({ id, content }) => stored.get(id) !== content);
		const twice = [...times].filter(([, count]) => count > 1);
		const invented = [...times.keys()].filter((content) => !this.sent.has(content) || this.refused.has(content));

		const last = new Map();
		const disorder = this.shown.filter(({ connection, id }) => {
			const before = last.get(connection) ?? 0;
			last.set(connection, id);
			return id <= before;
		});
		return { lost, phantoms, twice, invented, outOfOrder: this.outOfOrder, disorder, gaps: this.#gaps(rows) };
	}

	/** Stored rows missing on a connection that received both an earlier and a later one. */
	#gaps(rows) {
		const connections = new Map();
		for (const { connection, id } of this.shown) {
			if (!connections.has(connection)) connections.set(connection, new Set());
			connections.get(connection).add(id);
		}
		return [...connections].flatMap(([connection, ids]) => {
			const [first, last] = [lowest(ids), highest(ids)];
			return rows.filter(({ id }) => id > first && id < last && !ids.has(id)).map(({ id }) => ({ connection, id }));
		});
	}
}

const lowest = (numbers) => [...numbers].reduce((a, b) => Math.min(a, b));
const highest = (numbers) => [...numbers].reduce((a, b) => Math.max(a, b));
