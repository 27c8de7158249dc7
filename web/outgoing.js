// Messages written here and not yet known to be stored. No message is resent automatically: unanswered ones wait for the
// user, and each has an idempotency key with which the server stores it once, regardless of the number of attempts. feed.js
// handles all other messages.

import { ConnectionLost, errorText } from "./strings.js";

export class Outgoing {
  #feed;
  #changed;
  #count = 0;
  pending = [];

  constructor({ feed, changed }) {
    this.#feed = feed;
    this.#changed = changed;
  }

  get hasUnsent() {
    return this.pending.length > 0;
  }

  send(text) {
    const viewKey = `out-${++this.#count}`;
    this.#attempt({ viewKey, text, idempotencyKey: randomKey(), afterId: this.#feed.messages.newestId ?? 0, created: new Date() });
  }

  retry(entry) {
    this.#attempt(entry);
  }

  discard(entry) {
    this.#remove(entry);
    this.#changed();
  }

  /** A create event may precede the answer: it then replaces the entry, which keeps its position on the page. */
  matchEvent({ event, data }) {
    if (event !== "create") return;
    for (const row of data) {
      const entry = this.pending.find((entry) => entry.state === "sending" && entry.text === row.content);
      if (!entry || !this.#mayBeMine(row)) continue;
      entry.shownAs = String(row.id);
      this.#remove(entry);
      this.#feed.put(row, { viewKey: entry.viewKey });
    }
  }

  /** After a reconnection, unanswered messages may turn out to be stored. */
  reconcile() {
    for (const entry of [...this.pending]) {
      const stored = this.#feed.messages.all.find(
        ({ id, own, content, viewKey }) => own && id > entry.afterId && content === entry.text && !viewKey.startsWith("out-"),
      );
      if (entry.isLost && stored) this.discard(entry);
    }
  }

  async #attempt(entry) {
    Object.assign(entry, { state: "sending", problem: null, isLost: false });
    if (!this.pending.includes(entry)) this.pending.push(entry);
    this.#changed();
    try {
      await this.#feed.jumpToLatest();
      const { text, idempotencyKey } = entry;
      const query = { fields: this.#feed.fields };
      const row = await this.#feed.items({ action: "create", data: { content: text }, query, idempotency_key: idempotencyKey });
      this.#confirm(entry, row);
    } catch (error) {
      const isLost = error instanceof ConnectionLost;
      if (isLost && entry.shownAs) return;
      if (entry.shownAs) entry.viewKey = `out-${++this.#count}`;
      const problem = isLost ? "This may not have arrived: the connection was lost." : errorText(error);
      Object.assign(entry, { state: "failed", isLost, problem });
      if (!this.pending.includes(entry)) this.pending.push(entry);
    }
    this.#changed();
  }

  #confirm(entry, row) {
    this.#remove(entry);
    const isNew = !entry.shownAs && !this.#feed.messages.find(row.id);
    this.#feed.put(row, isNew ? { own: true, viewKey: entry.viewKey } : { own: true });
    this.#feed.me.first_name ??= row.user_created?.first_name;
  }

  #remove(entry) {
    this.pending = this.pending.filter((other) => other !== entry);
  }

  #mayBeMine({ user_created: author }) {
    const { me } = this.#feed;
    if (author?.id) return author.id === me.id;
    return !me.first_name || !author?.first_name || author.first_name === me.first_name;
  }
}

function randomKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
