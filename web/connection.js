// A WebSocket that reconnects: matches answers to requests by uid, answers pings, detects silence, and retries with jittered
// exponential back-off. It reports events only; the listener decides whether to read or sign in again.

import { ConnectionLost, ServerError } from "./strings.js";

const RESPONSE_TIMEOUT_MS = 10_000;
const IDLE_MS = 70_000;
const BACKOFF_MS_MIN = 500;
const BACKOFF_MS_MAX = 15_000;

export class Connection {
  #listener;
  #wanted = false;
  #socket = null;
  #pending = new Map();
  #uid = 0;
  #failures = 0;
  #retry;
  #receivedAt = 0;

  /** `listener`: `opened()`, `disconnected()`, `handshakeFailed()`, `unauthorised()`, `event(frame)`, `failed(frame)`. */
  constructor(listener) {
    this.#listener = listener;
    addEventListener("online", () => this.wake());
    addEventListener("offline", () => this.restart());
    document.addEventListener("visibilitychange", () => document.hidden || this.wake());
    setInterval(() => this.#probe(IDLE_MS), 15_000);
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  open() {
    this.#wanted = true;
    this.#failures = 0;
    if (!this.#socket) this.#connect();
  }

  close() {
    this.#wanted = false;
    clearTimeout(this.#retry);
    this.#discard(this.#socket);
  }

  /** Resets the back-off. An opened socket alone is not yet proof of a working connection. */
  resetBackoff() {
    this.#failures = 0;
  }

  /** Replaces the current socket with a new one, after the usual back-off. */
  restart() {
    this.#discard(this.#socket);
  }

  /** Opens a new socket for the new session, once the old one has no pending requests. */
  async renew() {
    await Promise.allSettled([...this.#pending.values()].map((pending) => pending.promise));
    if (!this.#wanted || !this.#socket) return;
    this.#discard(this.#socket);
    this.wake();
  }

  /** Connects at once instead of waiting, or checks that a quiet socket is still alive. */
  wake() {
    if (!this.#wanted) return;
    if (this.#socket) this.#probe(IDLE_MS / 2);
    else this.#connect();
  }

  /** Sends a frame and resolves with its answer's data. Rejects with ServerError, or with ConnectionLost without one. */
  request(frame) {
    if (!this.isOpen) return Promise.reject(new ConnectionLost());
    const uid = frame.uid ?? `ask-${++this.#uid}`;
    const pending = deferred();
    const socket = this.#socket;
    const sentAt = Date.now();
    pending.timer = setTimeout(() => {
      this.#settle(uid, (pending) => pending.reject(new ConnectionLost()));
      if (this.#receivedAt < sentAt) this.#discard(socket);
    }, RESPONSE_TIMEOUT_MS);
    this.#pending.set(uid, pending);
    socket.send(JSON.stringify({ ...frame, uid }));
    return pending.promise;
  }

  #connect() {
    clearTimeout(this.#retry);
    const url = new URL("websocket", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    let opened = false;
    const deadline = setTimeout(() => opened || this.#discard(socket), RESPONSE_TIMEOUT_MS);
    socket.onopen = () => {
      opened = true;
      clearTimeout(deadline);
      this.#receivedAt = Date.now();
      this.#listener.opened();
    };
    socket.onmessage = (message) => this.#read(message.data);
    socket.onclose = () => {
      if (!opened && this.#wanted) this.#listener.handshakeFailed();
      this.#discard(socket);
    };
    this.#socket = socket;
  }

  /** Discards a socket at once: a close handshake with a dead peer would take minutes. */
  #discard(socket) {
    if (!socket || socket !== this.#socket) return;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    for (const uid of [...this.#pending.keys()]) this.#settle(uid, (pending) => pending.reject(new ConnectionLost()));
    if (!this.#wanted) return;
    const delay = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** this.#failures++);
    this.#retry = setTimeout(() => this.#connect(), delay * (0.6 + 0.4 * Math.random()));
    this.#listener.disconnected();
  }

  #read(text) {
    this.#receivedAt = Date.now();
    let frame;
    try {
      frame = JSON.parse(text);
    } catch (error) {
      return console.warn("a frame that is not JSON", error);
    }
    if (frame.type === "ping") return this.#socket.send('{"type":"pong"}');
    if (frame.type === "auth" && frame.status === "error") return this.#listener.unauthorised(frame.error);
    const isEvent = frame.type === "subscription" && frame.event !== "init";
    if (isEvent) return this.#listener.event(frame);
    const isResponse = this.#settle(frame.uid, (pending) => {
      if (frame.status === "error") pending.reject(new ServerError(frame.error));
      else pending.resolve(frame.data);
    });
    if (!isResponse && frame.status === "error") this.#listener.failed(frame);
  }

  #settle(uid, complete) {
    const pending = this.#pending.get(uid);
    if (!pending) return false;
    clearTimeout(pending.timer);
    this.#pending.delete(uid);
    complete(pending);
    return true;
  }

  /** After a silence, sends a request that is always answered; without an answer, the socket is dropped. */
  #probe(idleMs) {
    if (!this.isOpen || Date.now() - this.#receivedAt < idleMs) return;
    this.request({ type: "items", collection: "messages", action: "read", query: { fields: ["id"], limit: 1 } }).catch(() => {});
  }
}

function deferred() {
  const pending = {};
  pending.promise = new Promise((resolve, reject) => Object.assign(pending, { resolve, reject }));
  return pending;
}
