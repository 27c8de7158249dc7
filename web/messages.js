// The loaded messages: a gapless range of the conversation, ordered by id, without duplicates. Applies rows, removals and
// re-reads to it. Sends no requests and renders nothing.

const MESSAGES_MAX = 1000;

export class Messages {
  #byKey = new Map();
  #sorted = [];
  /** Whether the server has earlier messages. */
  hasEarlier = false;
  /** Whether the newest were dropped in favour of earlier ones: new messages are then counted, not added. */
  isDetached = false;
  missed = 0;

  get all() {
    return this.#sorted;
  }

  get oldestId() {
    return this.#sorted[0]?.id;
  }

  get newestId() {
    return this.#sorted.at(-1)?.id;
  }

  find(id) {
    return this.#byKey.get(String(id));
  }

  /** Adds or updates a message; only fields of the row are changed. */
  put(row, me, extra = {}) {
    const key = String(row.id);
    const known = this.#byKey.get(key);
    const message = known ?? { id: row.id, key, viewKey: key, content: "", created: new Date(), name: null, own: undefined };
    if ("content" in row) message.content = row.content ?? "";
    if (row.date_created) message.created = new Date(row.date_created);
    if ("date_updated" in row) message.edited = row.date_updated !== null;
    if ("user_created" in row) Object.assign(message, author(row.user_created, me, message));
    Object.assign(message, extra);
    if (known) return message;
    this.#byKey.set(key, message);
    const after = this.#sorted.findLastIndex((other) => other.id < message.id);
    this.#sorted.splice(after + 1, 0, message);
    return message;
  }

  remove(id) {
    const message = this.#byKey.get(String(id));
    if (!message) return;
    this.#byKey.delete(message.key);
    this.#sorted.splice(this.#sorted.indexOf(message), 1);
  }

  /** Removes messages between two ids (exclusive) that are missing from the rows just read. */
  removeMissing(rows, afterId, beforeId, exceptKeys) {
    const present = new Set(rows.map((row) => String(row.id)));
    const gone = this.#sorted.filter(({ id, key }) => id > afterId && id < beforeId && !present.has(key) && !exceptKeys.has(key));
    for (const message of gone) this.remove(message.id);
  }

  clear() {
    this.#byKey.clear();
    this.#sorted = [];
    this.hasEarlier = this.isDetached = false;
    this.missed = 0;
  }

  /** Drops the oldest messages after growth at the end, the newest after growth at the start. */
  trim(grewAtStart) {
    while (this.#sorted.length > MESSAGES_MAX) {
      const message = grewAtStart ? this.#sorted.pop() : this.#sorted.shift();
      this.#byKey.delete(message.key);
      if (grewAtStart) this.isDetached = true;
      else this.hasEarlier = true;
    }
  }
}

/** An author is an object (with or without its id), a bare id, or null; unknown ownership stays undefined. */
function author(value, me, known) {
  if (value === null) return { name: "Anonymous", own: known.own ?? false };
  if (typeof value === "string") return { name: known.name, own: value === me.id };
  const own = value.id === undefined ? known.own : value.id === me.id;
  return { name: value.first_name ?? known.name, own };
}
