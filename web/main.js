// Assembles the page: switches between sign-in and chat, starts the parts and connects them. Every part is independent of
// the others; only this file uses all of them.

import { Account } from "./account.js";
import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { Doorway } from "./doorway.js";
import { Feed } from "./feed.js";
import { revealPasswords } from "./form.js";
import { Outgoing } from "./outgoing.js";
import { askService } from "./service.js";
import { Session } from "./session.js";
import { View } from "./view.js";
import { Lost, Refusal, sentence } from "./words.js";

const SHOW_LOSS_MS = 400;
const STATES = {
  loading: "Loading…",
  connecting: "Connecting…",
  connected: "Connected",
  reconnecting: "Reconnecting… Everything you write is kept.",
  offline: "You are offline. Everything you write is kept.",
  unreachable: "The server cannot be reached. Trying again…",
  "signed-out": "Not signed in",
  leaving: "Signing out…",
  closed: "Live chat is switched off on this server.",
};

const find = (id) => document.getElementById(id);
let chat = null;
let turn = 0;
let isLeaving = false;
/** Stays while the chat connects again. */
let lasting = "";
let lossShown;

const session = new Session({
  renewed: () => connection.renew(),
  ended: () => endSession(),
});

const connection = new Connection({
  opened: () => synchronise(),
  lost: () => (lossShown ??= setTimeout(() => status(navigator.onLine ? "reconnecting" : "offline"), SHOW_LOSS_MS)),
  refused: () => verify(),
  unauthorised: () => (connection.restart(), verify()),
  news: (frame) => {
    chat?.outgoing.expect(frame);
    chat?.feed.apply(frame);
  },
  failed: (frame) => {
    console.warn("refused", frame);
    if (frame.type !== "server") connection.restart();
  },
});

const composer = new Composer({
  send: (text) => {
    if (lasting) notice((lasting = ""));
    chat.outgoing.send(text);
    view.render();
    view.scrollToEnd();
  },
  editLast: () => view.editLast(),
});

const view = new View({
  edit: (message, text) => chat.feed.edit(message, text),
  delete: (message) => chat.feed.delete(message),
  retry: (entry) => (chat.outgoing.retry(entry), composer.focus()),
  discard: (entry) => chat.outgoing.discard(entry),
  loadEarlier: () => chat?.feed.loadEarlier().then(() => notice(), complain),
  jumpToLatest: () => chat?.feed.jumpToLatest().catch(complain),
  focusComposer: () => composer.focus(),
  rescue: (draft) => {
    composer.text = [composer.text, draft].filter(Boolean).join("\n");
    notice("The message you were editing was deleted. Your text is in the box below.");
    composer.focus();
  },
});

revealPasswords(find("sign-in"));
const doorway = new Doorway(async ({ email, password, otp }) => {
  await session.signIn(email, password, otp);
  const me = await session.whoAmI();
  if (!me) throw new Refusal({ message: "The browser did not keep the sign-in. Are cookies allowed for this page?" });
  enter(me);
});

const account = new Account(session, {
  renamed: (name) => {
    chat.feed.me.first_name = name;
    showWho();
  },
  signOut,
});

find("who").addEventListener("click", () => account.open(chat.feed.me).catch(complain));
find("logout").addEventListener("click", async () => {
  await signOut(() => session.signOut(), "You are signed out.").catch(() => {});
});

addEventListener("beforeunload", (event) => {
  if (chat?.outgoing.hasUnsent) event.preventDefault();
});
// Another tab signed in, signed out, or renewed the session.
addEventListener("storage", () => isChatting() && verify());
// Timers pause while the machine sleeps.
document.addEventListener("visibilitychange", () => document.hidden || !isChatting() || session.keepAlive());

start();

async function start() {
  status("loading");
  for (let pause = 1000; ; pause = Math.min(pause * 2, 15_000)) {
    try {
      const { project, isSignedIn } = await askService();
      showName(project.project_name);
      const me = isSignedIn ? await session.whoAmI() : null;
      if (me) return enter(me);
      await doorway.learn(project);
      return leave();
    } catch {
      status("unreachable");
      await new Promise((resume) => setTimeout(resume, pause * (0.6 + 0.4 * Math.random())));
    }
  }
}

/** Shows the chat, with a notice if there is one. If the same person returns, its state is preserved, including unsent texts. */
function enter(me, note = "") {
  if (chat?.feed.me.id !== me.id) {
    if (chat) composer.text = "";
    connection.close();
    const changed = () => view.schedule();
    const feed = new Feed({ me, ask: (frame) => connection.ask(frame), changed });
    chat = { feed, outgoing: new Outgoing({ feed, changed }), can: { create: true }, isRead: false };
    view.attach(chat);
  }
  doorway.close();
  screen("chat");
  notice((lasting = note));
  showWho();
  status("connecting");
  session.keepAlive();
  connection.open();
  composer.focus();
}

function leave(note) {
  turn += 1;
  session.pause();
  connection.close();
  account.close();
  screen("sign-in");
  status("signed-out");
  doorway.open(note);
}

/** Leaves once `end` has ended the session. The socket is closed first: otherwise the server would close it before the
 * response, and the page would verify its session. */
async function signOut(end, note) {
  if (isLeaving) return;
  isLeaving = true;
  turn += 1;
  session.pause();
  connection.close();
  composer.allow(false);
  status("leaving");
  try {
    await end();
  } catch (error) {
    isLeaving = false;
    enter(chat.feed.me, `You are still signed in. ${sentence(error)}`);
    throw error;
  }
  isLeaving = false;
  forget(note);
}

/** Leaves and clears all data, so that the next person does not see any. */
function forget(note) {
  leave(note);
  chat = null;
  view.attach(null);
  composer.text = "";
}

function endSession() {
  if (isChatting()) leave("Your session has ended. Sign in again to continue; your text is kept.");
}

/** After a refused connection, checks whether the session has ended or the server is unreachable. */
async function verify() {
  if (!isChatting()) return;
  try {
    const me = await session.whoAmI();
    if (!isChatting()) return;
    if (!me) await session.renew();
    else if (me.id !== chat.feed.me.id) enter(me);
    else {
      session.keepAlive();
      if (!connection.isOpen && !(await askService()).hasSocket && isChatting()) giveUp();
    }
  } catch {
    // Unreachable: the connection keeps retrying. Signed out: `ended` was called.
  }
}

/** The server offers no socket (WEBSOCKETS_ENABLED), so retrying is pointless. */
function giveUp() {
  connection.close();
  composer.allow(false);
  status("closed");
  notice("This page needs live chat to show and send messages. Ask the administrator of this server.");
}

async function synchronise() {
  const mine = ++turn;
  const { feed, outgoing } = chat;
  try {
    // Sockets also open without a session. The account is verified each time, so that no message is sent as another user.
    const me = await session.whoAmI();
    if (mine !== turn) return;
    if (me?.id !== feed.me.id) return void (connection.restart(), verify());
    chat.can = await session.permissions().catch(() => chat.can);
    if (mine !== turn) return;
    await feed.synchronise();
    outgoing.reconcile();
    chat.isRead = true;
    connection.steady();
    notice(lasting);
  } catch (error) {
    if (mine !== turn) return;
    if (error.code !== "FORBIDDEN") return connection.restart();
    chat.can = {};
    notice("You are signed in, but have no access to the messages here. Ask the administrator of this server.");
  }
  composer.allow(Boolean(chat.can.create));
  clearTimeout(lossShown);
  lossShown = undefined;
  status("connected");
  showWho();
  view.render();
}

/** Whether the chat is shown and stays: not while the session is being ended. */
function isChatting() {
  return document.body.dataset.screen === "chat" && !isLeaving;
}

function screen(name) {
  document.body.dataset.screen = name;
  find("sign-in").hidden = name !== "sign-in";
  find("chat").hidden = name !== "chat";
  find("logout").hidden = find("who").hidden = name !== "chat";
}

function showWho() {
  find("who").textContent = chat.feed.me.first_name ?? "Signed in";
}

/** Shows the server's name, here and in the tab's title. */
function showName(name) {
  if (!name) return;
  find("brand").textContent = name;
  view.title = name;
}

function status(state) {
  if (state !== "reconnecting" && state !== "offline") lossShown = void clearTimeout(lossShown);
  find("status").dataset.state = state;
  if (find("status-text").textContent !== STATES[state]) find("status-text").textContent = STATES[state];
}

function notice(text = "") {
  find("notice").hidden = !text;
  if (find("notice").textContent !== text) find("notice").textContent = text;
}

function complain(error) {
  if (!(error instanceof Lost) || !connection.isOpen) notice(sentence(error));
}
