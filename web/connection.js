// A WebSocket that reconnects: matches answers to requests by uid, answers pings, detects silence, and retries with jittered
// exponential back-off. It reports events only; the listener decides whether to read or sign in again.

import { Lost, Refusal } from "./words.js";

const ANSWER_MS = 10_000;
const QUIET_MS = 70_000;
const PAUSE_MS_MIN = 500;
const PAUSE_MS_MAX = 15_000;

export class Connection {
  #listener;
  #wanted = false;
  #socket = null;
  #waiting = new Map();
  #uid = 0;
  #failures = 0;
  #retry;
  #heardAt = 0;

  /** `listener`: `opened()`, `lost()`, `refused()` (no upgrade), `unauthorised()`, `news(frame)`, `failed(frame)`. */
  constructor(listener) {
    this.#listener = listener;
    addEventListener("online", () => this.wake());
    addEventListener("offline", () => this.restart());
    document.addEventListener("visibilitychange", () => document.hidden || this.wake());
    setInterval(() => this.#probe(QUIET_MS), 15_000);
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
    this.#drop(this.#socket);
  }

  /** Resets the back-off. An opened socket alone is not yet proof of a working connection. */
  steady() {
    this.#failures = 0;
  }

  /** Replaces the current socket with a new one, after the usual back-off. */
  restart() {
    this.#drop(this.#socket);
  }

  /** Opens a new socket for the new session, once the old one has no pending requests. */
  async renew() {
    await Promise.allSettled([...this.#waiting.values()].map((question) => question.promise));
    if (!this.#wanted || !this.#socket) return;
    this.#drop(this.#socket);
    this.wake();
  }

  /** Connects at once instead of waiting, or checks that a quiet socket is still alive. */
  wake() {
    if (!this.#wanted) return;
    if (this.#socket) this.#probe(QUIET_MS / 2);
    else this.#connect();
  }

  /** Sends a frame and resolves with its answer's data. Rejects with Refusal, or with Lost without an answer. */
  ask(frame) {
    if (!this.isOpen) return Promise.reject(new Lost());
    const uid = frame.uid ?? `ask-${++this.#uid}`;
    const question = unanswered();
    const socket = this.#socket;
    const askedAt = Date.now();
    question.timer = setTimeout(() => {
      this.#settle(uid, (lost) => lost.reject(new Lost()));
      if (this.#heardAt < askedAt) this.#drop(socket);
    }, ANSWER_MS);
    this.#waiting.set(uid, question);
    socket.send(JSON.stringify({ ...frame, uid }));
    return question.promise;
  }

  #connect() {
    clearTimeout(this.#retry);
    const url = new URL("websocket", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    let opened = false;
    const deadline = setTimeout(() => opened || this.#drop(socket), ANSWER_MS);
    socket.onopen = () => {
      opened = true;
      clearTimeout(deadline);
      this.#heardAt = Date.now();
      this.#listener.opened();
    };
    socket.onmessage = (message) => this.#read(message.data);
    socket.onclose = () => {
      if (!opened && this.#wanted) this.#listener.refused();
      this.#drop(socket);
    };
    this.#socket = socket;
  }

  /** Discards a socket at once: a close handshake with a dead peer would take minutes. */
  #drop(socket) {
    if (!socket || socket !== this.#socket) return;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    for (const uid of [...this.#waiting.keys()]) this.#settle(uid, (lost) => lost.reject(new Lost()));
    if (!this.#wanted) return;
    const pause = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** this.#failures++);
    this.#retry = setTimeout(() => this.#connect(), pause * (0.6 + 0.4 * Math.random()));
    this.#listener.lost();
  }

  #read(text) {
    this.#heardAt = Date.now();
    let frame;
    try {
      frame = JSON.parse(text);
    } catch (error) {
      return console.warn("a frame that is not JSON", error);
    }
    if (frame.type === "ping") return this.#socket.send('{"type":"pong"}');
    if (frame.type === "auth" && frame.status === "error") return this.#listener.unauthorised(frame.error);
    const isEvent = frame.type === "subscription" && frame.event !== "init";
    if (isEvent) return this.#listener.news(frame);
    const asked = this.#settle(frame.uid, (question) => {
      if (frame.status === "error") question.reject(new Refusal(frame.error));
      else question.resolve(frame.data);
    });
    if (!asked && frame.status === "error") this.#listener.failed(frame);
  }

  #settle(uid, answer) {
    const question = this.#waiting.get(uid);
    if (!question) return false;
    clearTimeout(question.timer);
    this.#waiting.delete(uid);
    answer(question);
    return true;
  }

  /** After a silence, sends a request that is always answered; without an answer, the socket is dropped. */
  #probe(quietMs) {
    if (!this.isOpen || Date.now() - this.#heardAt < quietMs) return;
    this.ask({ type: "items", collection: "messages", action: "read", query: { fields: ["id"], limit: 1 } }).catch(() => {});
  }
}

function unanswered() {
  const question = {};
  question.promise = new Promise((resolve, reject) => Object.assign(question, { resolve, reject }));
  return question;
}
