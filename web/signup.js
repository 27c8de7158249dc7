// The sign-up form and its next step: sign-in, or confirmation by mail. The server answers the same for addresses that are
// taken, so this page cannot tell them apart either.

import { Form } from "./form.js";
import { rest } from "./rest.js";
import { errorText } from "./strings.js";

const byId = (id) => document.getElementById(id);

export class SignUp {
  #form;

  /** `verifies()`: whether addresses are confirmed by mail. Otherwise, `signIn({email, password})` follows. */
  constructor({ verifies, signIn, sent }) {
    const send = async ({ name, email, password }) => {
      const address = email.trim();
      await rest("POST", "users/register", { first_name: name.trim(), email: address, password });
      if (!verifies()) return signIn({ email: address, password });
      byId("signup-address").textContent = address;
      sent();
    };
    this.#form = new Form(byId("signup-form"), send, explain);
  }

  show(isShown) {
    this.#form.show(isShown);
    if (isShown) this.#form.focus();
  }
}

function explain(error) {
  if (error.field === "password") return [errorText(error), "password"];
  if (error.field === "email" || /"email"/.test(error.message)) return ["That is not an email address.", "email"];
  if (error.code === "FORBIDDEN") return ["This server does not accept sign-ups with this address.", "email"];
  if (error.code === "UNPROCESSABLE_CONTENT") return "This server cannot send emails, so it cannot confirm your address. Ask its administrator.";
  // Sign-up succeeded but sign-in failed: the address already has an account with another password.
  if (error.code === "INVALID_CREDENTIALS") return ["You are not signed in. If you have an account with this address, sign in, or request a new password.", "email"];
  return errorText(error);
}
