// The sign-in form: email and password, then a one-time code or a recovery code if the account requires one. The given
// function performs the sign-in.

import { Form } from "./form.js";
import { ServerError, errorText } from "./strings.js";

const INVITATION = "Sign in with your account on this server.";
const METHODS = {
  app: { label: "One-time code", hint: "The six digits that your authenticator app shows.", other: "Use a recovery code instead", inputMode: "numeric" },
  recovery: { label: "Recovery code", hint: "One of the codes that you saved when you set this up. Each code works once.", other: "Use a code of the app instead", inputMode: "text" },
};
const byId = (id) => document.getElementById(id);

export class SignIn {
  #form;
  #method = "app";

  /** `signIn({email, password, otp})` rejects with an error to be explained. */
  constructor(signIn) {
    const send = async ({ email, password, otp }) => signIn({ email: email.trim(), password, otp: otp.trim() });
    this.#form = new Form(byId("login-form"), send, (error) => this.#explain(error));
    byId("login-otp-other").addEventListener("click", () => {
      this.#requestCode(this.#method === "app" ? "recovery" : "app");
      this.#form.field("otp").focus();
    });
  }

  show(isShown, note = INVITATION) {
    this.#form.show(isShown);
    this.#hideCode();
    if (!isShown) return;
    byId("login-note").textContent = note;
    this.#form.focus();
  }

  showError(text) {
    this.#form.showError(text);
  }

  #explain(error) {
    if (!(error instanceof ServerError)) return errorText(error);
    if (error.code === "INVALID_OTP") {
      const isFirst = byId("login-otp-row").hidden;
      this.#requestCode(this.#method);
      this.#form.field("otp").value = "";
      if (isFirst) return ["This account also requires a second factor.", "otp"];
      return [this.#method === "app" ? errorText(error) : "That recovery code is wrong, or was already used.", "otp"];
    }
    if (error.code === "INVALID_PAYLOAD" && /"email"/.test(error.message)) return ["That is not an email address.", "email"];
    if (error.code === "INVALID_CREDENTIALS") this.#hideCode();
    return [errorText(error), error.waitSeconds ? undefined : "password"];
  }

  #requestCode(method) {
    this.#method = method;
    const { label, hint, other, inputMode } = METHODS[method];
    byId("login-otp-row").hidden = false;
    byId("login-otp-label").textContent = label;
    byId("login-otp-hint").textContent = hint;
    byId("login-otp-other").textContent = other;
    Object.assign(this.#form.field("otp"), { inputMode, required: true });
  }

  #hideCode() {
    this.#method = "app";
    byId("login-otp-row").hidden = true;
    Object.assign(this.#form.field("otp"), { value: "", required: false });
  }
}
