// The page for links in emails: choosing a password, after an invitation or a forgotten password; without such a link,
// requesting one. The token is removed from the URL at once, so that neither the history nor a later page contains it.

import { Form, revealPasswords } from "./form.js";
import { rest } from "./rest.js";
import { errorText } from "./strings.js";

const isInvited = location.pathname.replace(/\/$/, "").endsWith("/accept-invite");
const token = new URLSearchParams(location.search).get("token") ?? "";
history.replaceState(null, "", location.pathname);

const ROOT = new URL("../", document.baseURI);
const byId = (id) => document.getElementById(id);

const newPasswordForm = new Form(byId("form"), async ({ password, again }) => {
  if (password !== again) throw new InputError("The two passwords are not the same.", "again");
  await rest("POST", isInvited ? "users/invite/accept" : "auth/password/reset", { token, password }, ROOT);
  showStep("done");
}, newPasswordError);

const requestForm = new Form(byId("ask-form"), async ({ email }) => {
  await rest("POST", "auth/password/request", { email: email.trim() }, ROOT);
  byId("asked-address").textContent = email.trim();
  showStep("asked");
}, requestError);

/** An input error found without asking the server. */
class InputError extends Error {
  constructor(message, field) {
    super(message);
    this.field = field;
  }
}

function newPasswordError(error) {
  if (error instanceof InputError) return [error.message, error.field];
  if (error.field === "password") return [errorText(error), "password"];
  const isExpired = error.code === "TOKEN_EXPIRED";
  if (!isExpired && error.code !== "INVALID_TOKEN" && error.code !== "FORBIDDEN") return errorText(error);
  byId("another").hidden = isInvited;
  const reason = isExpired ? "This link has expired." : "This link is no longer valid: it was already used, or a newer link was sent.";
  return isInvited ? `${reason} Ask whoever invited you for another.` : reason;
}

function requestError(error) {
  if (error.code === "UNPROCESSABLE_CONTENT") return "This server cannot send emails. Ask its administrator for a new password.";
  return [errorText(error), error.waitSeconds ? undefined : "email"];
}

function showStep(id) {
  for (const part of ["form", "ask-form", "asked", "done"]) byId(part).hidden = part !== id;
  if (id === "form") newPasswordForm.focus();
  else if (id === "ask-form") requestForm.focus();
  else byId(id).querySelector("h1").focus();
}

revealPasswords();
byId("another").addEventListener("click", () => showStep("ask-form"));
if (isInvited) {
  document.title = "Welcome";
  byId("title").textContent = "Welcome! Choose a password";
}
if (!isInvited && !token) {
  document.title = "Forgotten password";
  showStep("ask-form");
} else {
  showStep("form");
  if (!token) newPasswordForm.showError("This link is incomplete. Open the link in the email again.");
}
