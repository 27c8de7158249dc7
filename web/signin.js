// The sign-in form: email and password, then a one-time code or a recovery code if the account requires one. The given
// function performs the sign-in.

import { Form } from "./form.js";
import { Refusal, sentence } from "./words.js";

const INVITATION = "Sign in with your account on this server.";
const WAYS = {
  app: { label: "One-time code", hint: "The six digits that your authenticator app shows.", other: "Use a recovery code instead", inputMode: "numeric" },
  paper: { label: "Recovery code", hint: "One of the codes that you saved when you set this up. Each code works once.", other: "Use a code of the app instead", inputMode: "text" },
};
const find = (id) => document.getElementById(id);

export class SignIn {
  #form;
  #way = "app";

  /** `signIn({email, password, otp})` rejects with an error to be explained. */
  constructor(signIn) {
    const send = async ({ email, password, otp }) => signIn({ email: email.trim(), password, otp: otp.trim() });
    this.#form = new Form(find("login-form"), send, (error) => this.#explain(error));
    find("login-otp-other").addEventListener("click", () => {
      this.#ask(this.#way === "app" ? "paper" : "app");
      this.#form.field("otp").focus();
    });
  }

  show(isShown, note = INVITATION) {
    this.#form.show(isShown);
    this.#hideCode();
    if (!isShown) return;
    find("login-note").textContent = note;
    this.#form.focus();
  }

  complain(text) {
    this.#form.complain(text);
  }

  #explain(error) {
    if (!(error instanceof Refusal)) return sentence(error);
    if (error.code === "INVALID_OTP") {
      const isFirst = find("login-otp-row").hidden;
      this.#ask(this.#way);
      this.#form.field("otp").value = "";
      if (isFirst) return ["This account also requires a second factor.", "otp"];
      return [this.#way === "app" ? sentence(error) : "That recovery code is wrong, or was already used.", "otp"];
    }
    if (error.code === "INVALID_PAYLOAD" && /"email"/.test(error.message)) return ["That is not an email address.", "email"];
    if (error.code === "INVALID_CREDENTIALS") this.#hideCode();
    return [sentence(error), error.waitSeconds ? undefined : "password"];
  }

  #ask(way) {
    this.#way = way;
    const { label, hint, other, inputMode } = WAYS[way];
    find("login-otp-row").hidden = false;
    find("login-otp-label").textContent = label;
    find("login-otp-hint").textContent = hint;
    find("login-otp-other").textContent = other;
    Object.assign(this.#form.field("otp"), { inputMode, required: true });
  }

  #hideCode() {
    this.#way = "app";
    find("login-otp-row").hidden = true;
    Object.assign(this.#form.field("otp"), { value: "", required: false });
  }
}
