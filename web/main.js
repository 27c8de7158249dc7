// Assembles the page: switches between sign-in and chat, starts the parts and connects them. Every part is independent of
// the others; only this file uses all of them.

import { Account } from "./account.js";
import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { AuthView } from "./auth-view.js";
import { Feed } from "./feed.js";
import { revealPasswords } from "./form.js";
import { Outgoing } from "./outgoing.js";
import { fetchServerInfo } from "./server-info.js";
import { Session } from "./session.js";
import { View } from "./view.js";
import { ConnectionLost, ServerError, errorText } from "./strings.js";

const SHOW_DISCONNECT_MS = 400;
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

const byId = (id) => document.getElementById(id);
let chat = null;
let generation = 0;
let isSigningOut = false;
/** Stays while the chat connects again. */
let persistentNotice = "";
let disconnectTimer;

const session = new Session({
  renewed: () => connection.renew(),
  ended: () => endSession(),
});

const connection = new Connection({
  opened: () => synchronise(),
  disconnected: () => (disconnectTimer ??= setTimeout(() => setStatus(navigator.onLine ? "reconnecting" : "offline"), SHOW_DISCONNECT_MS)),
  handshakeFailed: () => verifySession(),
  unauthorised: () => (connection.restart(), verifySession()),
  event: (frame) => {
    chat?.outgoing.matchEvent(frame);
    chat?.feed.apply(frame);
  },
  failed: (frame) => {
    console.warn("refused", frame);
    if (frame.type !== "server") connection.restart();
  },
});

const composer = new Composer({
  send: (text) => {
    if (persistentNotice) setNotice((persistentNotice = ""));
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
  loadEarlier: () => chat?.feed.loadEarlier().then(() => setNotice(), showError),
  jumpToLatest: () => chat?.feed.jumpToLatest().catch(showError),
  focusComposer: () => composer.focus(),
  keepDraft: (draft) => {
    composer.text = [composer.text, draft].filter(Boolean).join("\n");
    setNotice("The message you were editing was deleted. Your text is in the box below.");
    composer.focus();
  },
});

revealPasswords(byId("sign-in"));
const authView = new AuthView(async ({ email, password, otp }) => {
  await session.signIn(email, password, otp);
  const me = await session.currentUser();
  if (!me) throw new ServerError({ message: "The browser did not keep the sign-in. Are cookies allowed for this page?" });
  showChat(me);
});

const account = new Account(session, {
  renamed: (name) => {
    chat.feed.me.first_name = name;
    showUserName();
  },
  signOut,
});

byId("who").addEventListener("click", () => account.open(chat.feed.me).catch(showError));
byId("logout").addEventListener("click", async () => {
  await signOut(() => session.signOut(), "You are signed out.").catch(() => {});
});

addEventListener("beforeunload", (event) => {
  if (chat?.outgoing.hasUnsent) event.preventDefault();
});
// Another tab signed in, signed out, or renewed the session.
addEventListener("storage", () => isChatting() && verifySession());
// Timers pause while the machine sleeps.
document.addEventListener("visibilitychange", () => document.hidden || !isChatting() || session.keepAlive());

start();

async function start() {
  setStatus("loading");
  for (let delay = 1000; ; delay = Math.min(delay * 2, 15_000)) {
    try {
      const { project, isSignedIn } = await fetchServerInfo();
      showServerName(project.project_name);
      const me = isSignedIn ? await session.currentUser() : null;
      if (me) return showChat(me);
      await authView.loadOptions(project);
      return showSignIn();
    } catch {
      setStatus("unreachable");
      await new Promise((resume) => setTimeout(resume, delay * (0.6 + 0.4 * Math.random())));
    }
  }
}

/** Shows the chat, with a notice if there is one. If the same person returns, its state is preserved, including unsent texts. */
function showChat(me, note = "") {
  if (chat?.feed.me.id !== me.id) {
    if (chat) composer.text = "";
    connection.close();
    const changed = () => view.schedule();
    const feed = new Feed({ me, request: (frame) => connection.request(frame), changed });
    chat = { feed, outgoing: new Outgoing({ feed, changed }), can: { create: true }, isLoaded: false };
    view.attach(chat);
  }
  authView.close();
  screen("chat");
  setNotice((persistentNotice = note));
  showUserName();
  setStatus("connecting");
  session.keepAlive();
  connection.open();
  composer.focus();
}

function showSignIn(note) {
  generation += 1;
  session.pause();
  connection.close();
  account.close();
  screen("sign-in");
  setStatus("signed-out");
  authView.open(note);
}

/** Leaves once `end` has ended the session. The socket is closed first: otherwise the server would close it before the
 * response, and the page would verify its session. */
async function signOut(end, note) {
  if (isSigningOut) return;
  isSigningOut = true;
  generation += 1;
  session.pause();
  connection.close();
  composer.allow(false);
  setStatus("leaving");
  try {
    await end();
  } catch (error) {
    isSigningOut = false;
    showChat(chat.feed.me, `You are still signed in. ${errorText(error)}`);
    throw error;
  }
  isSigningOut = false;
  clearChat(note);
}

/** Leaves and clears all data, so that the next person does not see any. */
function clearChat(note) {
  showSignIn(note);
  chat = null;
  view.attach(null);
  composer.text = "";
}

function endSession() {
  if (isChatting()) showSignIn("Your session has ended. Sign in again to continue; your text is kept.");
}

/** After a refused connection, checks whether the session has ended or the server is unreachable. */
async function verifySession() {
  if (!isChatting()) return;
  try {
    const me = await session.currentUser();
    if (!isChatting()) return;
    if (!me) await session.renew();
    else if (me.id !== chat.feed.me.id) showChat(me);
    else {
      session.keepAlive();
      if (!connection.isOpen && !(await fetchServerInfo()).hasSocket && isChatting()) showUnavailable();
    }
  } catch {
    // Unreachable: the connection keeps retrying. Signed out: `ended` was called.
  }
}

/** The server offers no socket (WEBSOCKETS_ENABLED), so retrying is pointless. */
function showUnavailable() {
  connection.close();
  composer.allow(false);
  setStatus("closed");
  setNotice("This page needs live chat to show and send messages. Ask the administrator of this server.");
}

async function synchronise() {
  const current = ++generation;
  const { feed, outgoing } = chat;
  try {
    // Sockets also open without a session. The account is verified each time, so that no message is sent as another user.
    const me = await session.currentUser();
    if (current !== generation) return;
    if (me?.id !== feed.me.id) return void (connection.restart(), verifySession());
    chat.can = await session.permissions().catch(() => chat.can);
    if (current !== generation) return;
    await feed.synchronise();
    outgoing.reconcile();
    chat.isLoaded = true;
    connection.resetBackoff();
    setNotice(persistentNotice);
  } catch (error) {
    if (current !== generation) return;
    if (error.code !== "FORBIDDEN") return connection.restart();
    chat.can = {};
    setNotice("You are signed in, but have no access to the messages here. Ask the administrator of this server.");
  }
  composer.allow(Boolean(chat.can.create));
  clearTimeout(disconnectTimer);
  disconnectTimer = undefined;
  setStatus("connected");
  showUserName();
  view.render();
}

/** Whether the chat is shown and stays: not while the session is being ended. */
function isChatting() {
  return document.body.dataset.screen === "chat" && !isSigningOut;
}

function screen(name) {
  document.body.dataset.screen = name;
  byId("sign-in").hidden = name !== "sign-in";
  byId("chat").hidden = name !== "chat";
  byId("logout").hidden = byId("who").hidden = name !== "chat";
}

function showUserName() {
  byId("who").textContent = chat.feed.me.first_name ?? "Signed in";
}

/** Shows the server's name, here and in the tab's title. */
function showServerName(name) {
  if (!name) return;
  byId("brand").textContent = name;
  view.title = name;
}

function setStatus(state) {
  if (state !== "reconnecting" && state !== "offline") disconnectTimer = void clearTimeout(disconnectTimer);
  byId("status").dataset.state = state;
  if (byId("status-text").textContent !== STATES[state]) byId("status-text").textContent = STATES[state];
}

function setNotice(text = "") {
  byId("notice").hidden = !text;
  if (byId("notice").textContent !== text) byId("notice").textContent = text;
}

function showError(error) {
  if (!(error instanceof ConnectionLost) || !connection.isOpen) setNotice(errorText(error));
}
