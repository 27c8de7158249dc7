// Keeps the messages on this page in sync with the server: history, live events, events missed while offline, ownership of
// messages, edits and deletions. Requests go through a given function; it holds no socket. Sending is in outgoing.js.

import { Messages } from "./messages.js";
import { ConnectionLost } from "./strings.js";

const PAGE = 50;
const REFRESH_PAGE = 100;
const REFRESH_PAGES_MAX = 15;
const OWNERSHIP_DELAY_MS = 150;

// From the full set of fields to the minimum. The server decides which of them are readable.
const FIELDS = [
  ["id", "content", "date_created", "date_updated", "user_created.id", "user_created.first_name"],
  ["id", "content", "date_created", "date_updated", "user_created.first_name"],
  ["id", "content", "date_created", "user_created.id", "user_created.first_name"],
  ["id", "content", "date_created", "user_created.first_name"],
  ["id", "content", "date_created"],
  ["id", "content"],
];

export class Feed {
  messages = new Messages();
  fields = FIELDS[0];
  #request;
  #changed;
  #reads = new Set();
  #deleted = new Set();
  #earlier;
  #ownershipTimer;

  constructor({ me, request, changed }) {
    this.me = me;
    this.#request = request;
    this.#changed = changed;
  }

  items(frame) {
    return this.#request({ type: "items", collection: "messages", ...frame });
  }

  /** Runs after every (re)connection: subscribes first, then reads, so that no event is missed in between. */
  async synchronise() {
    await this.#chooseFields();
    const query = { fields: this.fields };
    const subscribe = (event) => this.#request({ type: "subscribe", collection: "messages", event, query, uid: `${event}d` });
    await Promise.all(["create", "update", "delete"].map(subscribe));
    await this.#catchUp();
    await this.#resolveOwnership();
    this.#changed();
  }

  /** Applies an event of one of the three subscriptions. */
  apply({ event, data = [] }) {
    for (const row of [data].flat()) {
      const key = String(row?.id ?? row);
      for (const changedKeys of this.#reads) changedKeys.add(key);
      if (event === "delete") {
        this.#deleted.add(key);
        this.messages.remove(key);
      } else if (event === "update") {
        if (this.messages.find(key)) this.put(row);
      } else if (this.messages.isDetached) {
        this.messages.missed += 1;
      } else {
        this.put(row);
      }
    }
    this.messages.trim(false);
    this.#scheduleOwnership();
    this.#changed();
  }

  put(row, extra) {
    // The deletion of a message may arrive before an answer that contains it.
    if (!this.#deleted.has(String(row.id))) this.messages.put(row, this.me, extra);
  }

  /** Reads the page before the oldest message; concurrent calls share one read. */
  loadEarlier() {
    this.#earlier ??= this.#read({ limit: PAGE, sort: ["-id"], filter: { id: { _lt: this.messages.oldestId } } })
      .then(({ rows, changedKeys }) => {
        this.#putAll(rows, changedKeys);
        this.messages.hasEarlier = rows.length === PAGE;
        this.messages.trim(true);
        return this.#resolveOwnership();
      })
      .finally(() => {
        this.#earlier = undefined;
        this.#changed();
      });
    return this.#earlier;
  }

  /** Returns to the newest page after scrolling far up. */
  async jumpToLatest() {
    if (!this.messages.isDetached) return;
    const { rows } = await this.#read({ limit: PAGE, sort: ["-id"] });
    this.#reset(rows);
    await this.#resolveOwnership();
    this.#changed();
  }

  async edit(message, content) {
    const row = await this.items({ action: "update", id: message.id, data: { content }, query: { fields: this.fields } });
    this.put({ id: message.id, content: row?.content ?? content, date_updated: row?.date_updated ?? new Date().toISOString() });
    this.#changed();
  }

  async delete(message) {
    await this.items({ action: "delete", id: message.id });
    this.apply({ event: "delete", data: [message.id] });
  }

  async #chooseFields() {
    let choice = FIELDS.indexOf(this.fields);
    for (;;) {
      try {
        await this.items({ action: "read", query: { fields: FIELDS[choice], limit: 1 } });
        this.fields = FIELDS[choice];
        return;
      } catch (error) {
        choice += 1;
        if (error.code !== "FORBIDDEN" || choice === FIELDS.length) throw error;
      }
    }
  }

  /** Refreshes the loaded range: the newest page, then from the oldest loaded message up to that page. */
  async #catchUp() {
    const { messages } = this;
    this.#deleted.clear();
    let afterId = messages.oldestId - 1;
    let beforeId = messages.newestId + 1;
    let newest;
    if (!messages.isDetached) {
      const { rows, changedKeys } = await this.#read({ limit: PAGE, sort: ["-id"] });
      newest = rows;
      beforeId = rows.length < PAGE ? -Infinity : rows.at(-1).id;
      messages.removeMissing(rows, beforeId, Infinity, changedKeys);
      this.#putAll(rows, changedKeys);
      if (Number.isNaN(afterId) || rows.length < PAGE) messages.hasEarlier = rows.length === PAGE;
      this.#changed();
    }
    for (let page = 0; afterId < beforeId - 1; page++) {
      if (page === REFRESH_PAGES_MAX) return this.#reset(newest);
      const { rows, changedKeys } = await this.#read({ limit: REFRESH_PAGE, sort: ["id"], filter: { id: { _gt: afterId, _lt: beforeId } } });
      const isLast = rows.length < REFRESH_PAGE;
      messages.removeMissing(rows, afterId, isLast ? beforeId : rows.at(-1).id, changedKeys);
      this.#putAll(rows, changedKeys);
      if (isLast) break;
      afterId = rows.at(-1).id;
    }
    messages.trim(false);
  }

  #reset(rows) {
    this.messages.clear();
    this.#putAll(rows, new Set());
    this.messages.hasEarlier = rows.length === PAGE;
  }

  /** Returns rows, and the keys of events that arrived during the read: there the event is newer. */
  async #read(query) {
    const changedKeys = new Set();
    this.#reads.add(changedKeys);
    try {
      const rows = await this.items({ action: "read", query: { fields: this.fields, ...query } });
      return { rows, changedKeys };
    } finally {
      this.#reads.delete(changedKeys);
    }
  }

  #putAll(rows, changedKeys) {
    for (const row of rows) if (!changedKeys.has(String(row.id))) this.put(row);
  }

  #scheduleOwnership() {
    const { me } = this;
    for (const message of this.messages.all) {
      // A different name is a different person; the server is asked only about equal names.
      if (message.own === undefined && me.first_name && message.name && message.name !== me.first_name) message.own = false;
    }
    if (this.#ownershipTimer || !this.messages.all.some((message) => message.own === undefined)) return;
    this.#ownershipTimer = setTimeout(() => {
      this.#ownershipTimer = undefined;
      this.#resolveOwnership().then(this.#changed, () => {});
    }, OWNERSHIP_DELAY_MS);
  }

  /** Finds the user's own messages where the author's id is not readable. */
  async #resolveOwnership() {
    const unknown = this.messages.all.filter((message) => message.own === undefined);
    for (let start = 0; start < unknown.length; start += REFRESH_PAGE) {
      const batch = unknown.slice(start, start + REFRESH_PAGE);
      const filter = { user_created: { _eq: "$CURRENT_USER" }, id: { _in: batch.map((message) => message.id) } };
      const rows = await this.items({ action: "read", query: { fields: ["id"], limit: REFRESH_PAGE, filter } }).catch((error) => {
        if (error instanceof ConnectionLost) throw error;
        return [];
      });
      const own = new Set(rows.map((row) => String(row.id)));
      for (const message of batch) message.own ??= own.has(message.key);
    }
    this.me.first_name ??= unknown.find((message) => message.own && message.name)?.name;
  }
}
