// The events that one subscriber received over all its connections, and the errors in them. Independent of sockets and
// processes. Ids are assigned in the order of events, so the order of ids is the order of `seq`.

export class Delivery {
	#last = 0;
	#lastHere = 0;

	/** `keepsCursor`: no event may arrive twice; otherwise, only replayed ones. `wants`: the subscriber's filter. */
	constructor(name, { keepsCursor = true, wants = () => true } = {}) {
		this.name = name;
		this.keepsCursor = keepsCursor;
		this.wants = wants;
		this.told = new Map();
		this.wrong = { disorder: [], unmarked: [], again: [], unrecovered: [] };
		this.replayed = 0;
		this.repeated = 0;
		this.connections = 0;
		this.begun = false;
	}

	/** Records a new connection. */
	connected() {
		this.connections += 1;
		this.#lastHere = 0;
	}

	/** Records the start of the subscription: new at first, recovered from then on. */
	began(recovered) {
		if (this.begun && recovered !== true) this.wrong.unrecovered.push({ connection: this.connections, recovered });
		this.begun = true;
	}

	/** Records a delivered message. */
	tell({ id, content }, replayed) {
		if (replayed) this.replayed += 1;
		if (id <= this.#lastHere) this.wrong.disorder.push({ id, after: this.#lastHere, connection: this.connections });
		this.#lastHere = id;
		if (this.told.has(id)) {
			this.repeated += 1;
			if (this.keepsCursor) this.wrong.again.push(id);
			else if (!replayed) this.wrong.unmarked.push(id);
			return;
		}
		if (id <= this.#last) this.wrong.disorder.push({ id, after: this.#last });
		this.#last = id;
		this.told.set(id, content);
	}

	/** Compares the deliveries with all stored rows, and returns every contradiction by kind. */
	verify(rows) {
		const stored = new Map(rows.map(({ id, content }) => [id, content]));
		const wanted = rows.filter(({ content }) => this.wants(content));
		const missed = wanted.filter(({ id }) => !this.told.has(id)).map(({ id }) => id);
		const phantoms = [...this.told].filter(([id, content]) => stored.get(id) !== content || !this.wants(content)).map(([id]) => id);
		return { missed, phantoms, ...this.wrong };
	}
}
