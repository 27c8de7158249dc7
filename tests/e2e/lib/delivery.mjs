// What one subscriber was told over all its connections, and what is wrong with that. It knows nothing of sockets or
// processes. Ids are given out in the order of events, so the order of ids is the order of `seq`.

export class Delivery {
	#last = 0;
	#lastHere = 0;

	/** `keepsCursor`: nothing may come twice at all; else only what is marked as replayed. `wants` is its filter. */
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

	/** It has a new connection. */
	connected() {
		this.connections += 1;
		this.#lastHere = 0;
	}

	/** Its subscription began: the first time anew, and from then on where it was. */
	began(recovered) {
		if (this.begun && recovered !== true) this.wrong.unrecovered.push({ connection: this.connections, recovered });
		this.begun = true;
	}

	/** A message was told. */
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

	/** Compares with all rows that are stored, and gives every contradiction by its kind. */
	verify(rows) {
		const stored = new Map(rows.map(({ id, content }) => [id, content]));
		const wanted = rows.filter(({ content }) => this.wants(content));
		const missed = wanted.filter(({ id }) => !this.told.has(id)).map(({ id }) => id);
		const phantoms = [...this.told].filter(([id, content]) => stored.get(id) !== content || !this.wants(content)).map(([id]) => id);
		return { missed, phantoms, ...this.wrong };
	}
}
