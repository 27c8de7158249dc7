// The page for links in emails: choosing a password, after an invitation or a forgotten password; without such a link,
// requesting one. The token is removed from the URL at once, so that neither the history nor a later page contains it.

import { Form, revealPasswords } from "./form.js";
import { rest } from "./rest.js";
import { sentence } from "./words.js";

const isInvited = location.pathname.replace(/\/$/, "").endsWith("/accept-invite");
const token = new URLSearchParams(location.search).get("token") ?? "";
history.replaceState(null, "", location.pathname);

const ROOT = new URL("../", document.baseURI);
const find = (id) => document.getElementById(id);

const choose = new Form(find("form"), async ({ password, again }) => {
  if (password !== again) throw new Mistake("The two passwords are not the same.", "again");
  await rest("POST", isInvited ? "users/invite/accept" : "auth/password/reset", { token, password }, ROOT);
  show("done");
}, ofChoosing);

const ask = new Form(find("ask-form"), async ({ email }) => {
  await rest("POST", "auth/password/request", { email: email.trim() }, ROOT);
  find("asked-address").textContent = email.trim();
  show("asked");
}, ofAsking);

/** An input error found without asking the server. */
class Mistake extends Error {
  constructor(message, field) {
    super(message);
    this.field = field;
  }
}

function ofChoosing(error) {
  if (error instanceof Mistake) return [error.message, error.field];
  if (error.field === "password") return [sentence(error), "password"];
  const isExpired = error.code === "TOKEN_EXPIRED";
  if (!isExpired && error.code !== "INVALID_TOKEN" && error.code !== "FORBIDDEN") return sentence(error);
  find("another").hidden = isInvited;
  const reason = isExpired ? "This link has expired." : "This link is no longer valid: it was already used, or a newer link was sent.";
  return isInvited ? `${reason} Ask whoever invited you for another.` : reason;
}

function ofAsking(error) {
  if (error.code === "UNPROCESSABLE_CONTENT") return "This server cannot send emails. Ask its administrator for a new password.";
  return [sentence(error), error.waitSeconds ? undefined : "email"];
}

function show(id) {
  for (const part of ["form", "ask-form", "asked", "done"]) find(part).hidden = part !== id;
  if (id === "form") choose.focus();
  else if (id === "ask-form") ask.focus();
  else find(id).querySelector("h1").focus();
}

revealPasswords();
find("another").addEventListener("click", () => show("ask-form"));
if (isInvited) {
  document.title = "Welcome";
  find("title").textContent = "Welcome! Choose a password";
}
if (!isInvited && !token) {
  document.title = "Forgotten password";
  show("ask-form");
} else {
  show("form");
  if (!token) choose.complain("This link is incomplete. Open the link in the email again.");
}
