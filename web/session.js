// The session over REST: signing in and out, the account and its permissions, and renewal. The token itself stays in an
// HttpOnly cookie that no script can read; this file stores only the time of the next renewal. Renders nothing.

import { isSignedOut, rest } from "./rest.js";
import { ConnectionLost } from "./strings.js";

const RENEW_AT = "chinwag.renew-at";
const TIMER_MS_MAX = 2 ** 31 - 1;

export class Session {
  #timer;
  #renewing;
  #renewed;
  #ended;

  /** Calls `renewed` after each renewal, and `ended` once the server no longer accepts the session. */
  constructor({ renewed, ended }) {
    this.#renewed = renewed;
    this.#ended = ended;
  }

  /** The signed-in person, `{id, first_name?}`, or null. Users without permission to read their account get only the id. */
  async currentUser() {
    try {
      return (await rest("GET", "users/me?fields=id,first_name")).data;
    } catch (error) {
      if (isSignedOut(error)) return null;
      throw error;
    }
  }

  async signIn(email, password, otp) {
    const body = { email, password, mode: "session", ...(otp && { otp }) };
    const answer = await rest("POST", "auth/login", body).catch((error) => {
      // A stale cookie fails every request, this one too; the response removes it, so the second attempt counts.
      if (!["TOKEN_EXPIRED", "INVALID_TOKEN"].includes(error.code)) throw error;
      return rest("POST", "auth/login", body);
    });
    this.#storeRenewal(answer.data.expires);
  }

  async signOut() {
    await rest("POST", "auth/logout", { mode: "session" }).catch((error) => {
      if (error instanceof ConnectionLost || error.status >= 429) throw error;
    });
    renewalTime(null);
  }

  /** Ends all sessions of this account, including this one. */
  async signOutEverywhere() {
    await rest("DELETE", "users/me/sessions");
    renewalTime(null);
  }

  /** The caller's permissions: `{create, update, delete}` for messages, `own(field)` for the user's account. */
  async permissions() {
    const { data } = await rest("GET", "permissions/me");
    const may = (collection, action) => ["full", "partial"].includes(data?.[collection]?.[action]?.access);
    const mayWrite = (collection, action, field) =>
      may(collection, action) && ["*", field].some((name) => (data[collection][action].fields ?? ["*"]).includes(name));
    return {
      create: mayWrite("messages", "create", "content"),
      update: mayWrite("messages", "update", "content"),
      delete: may("messages", "delete"),
      own: (field) => mayWrite("directus_users", "update", field),
    };
  }

  /** Renews the session if that is due, and schedules the next renewal. */
  keepAlive() {
    clearTimeout(this.#timer);
    const wait = (renewalTime() ?? 0) - Date.now();
    if (wait <= 0) return void this.renew().catch(() => {});
    this.#timer = setTimeout(() => this.keepAlive(), Math.min(wait, TIMER_MS_MAX));
  }

  pause() {
    clearTimeout(this.#timer);
  }

  /** Replaces the session by a new one. Several tabs may do this at once: they get the same successor. */
  renew() {
    this.#renewing ??= rest("POST", "auth/refresh", { mode: "session" })
      .then(({ data }) => {
        this.#storeRenewal(data.expires);
        this.keepAlive();
        this.#renewed();
      })
      .catch((error) => {
        if (error instanceof ConnectionLost || error.status >= 429) {
          this.#timer = setTimeout(() => this.keepAlive(), 15_000);
        } else {
          renewalTime(null);
          this.#ended();
        }
        throw error;
      })
      .finally(() => (this.#renewing = undefined));
    return this.#renewing;
  }

  #storeRenewal(expiresMs) {
    renewalTime(Date.now() + expiresMs / 2);
  }
}

let inMemory = null;

/** Reads or (with an argument) writes the time of the next renewal, shared between tabs where storage is allowed. */
function renewalTime(time) {
  if (time !== undefined) inMemory = time;
  try {
    if (time !== undefined) localStorage.setItem(RENEW_AT, time ?? "");
    return Number(localStorage.getItem(RENEW_AT)) || inMemory;
  } catch {
    return inMemory;
  }
}
