// The sign-in form: what is asked, what is said when it fails, and where the focus goes. What
// signing in means is for the function it is given.

import { Lost, sentence } from "./words.js";

const INVITATION = "Sign in with your account on this server.";
const find = (id) => document.getElementById(id);

export class SignIn {
  #form = find("login-form");
  #submit = find("login-submit");
  #error = find("login-error");

  /** `signIn({email, password, otp})` rejects with what is to be shown. */
  constructor(signIn) {
    this.#form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const { email, password, otp } = Object.fromEntries(new FormData(this.#form));
      const missing = [email, password].findIndex((value) => !value.trim());
      if (missing >= 0) return this.#complain("Please fill in both email and password.", missing ? "login-password" : "login-email");
      this.#busy(true);
      try {
        await signIn({ email: email.trim(), password, otp: otp.trim() });
      } catch (error) {
        this.#explain(error);
      }
      this.#busy(false);
    });
  }

  open(note = INVITATION) {
    find("login-note").textContent = note;
    this.#error.textContent = "";
    find("login-otp-row").hidden = true;
    find("login-otp").value = find("login-password").value = "";
    find(find("login-email").value ? "login-password" : "login-email").focus();
  }

  #explain(error) {
    if (error.code === "INVALID_OTP") {
      const isFirst = find("login-otp-row").hidden;
      find("login-otp-row").hidden = false;
      return this.#complain(isFirst ? "This account also asks for a one-time code." : error.message, "login-otp");
    }
    if (error.status === 429) return this.#complain("Too many attempts. Please wait a minute, then try again.");
    if (error.status >= 500) return this.#complain("The server is busy. Please wait a moment, then try again.");
    if (error instanceof Lost) return this.#complain("The server cannot be reached. Check the connection and try again.");
    if (!error.code) return this.#complain("The browser did not keep the sign-in. Are cookies allowed for this page?");
    this.#complain(sentence(error), "login-password");
  }

  #complain(text, focusOn) {
    this.#error.textContent = text;
    if (focusOn) find(focusOn).focus();
  }

  #busy(isBusy) {
    this.#form.setAttribute("aria-busy", String(isBusy));
    this.#submit.disabled = isBusy;
    this.#submit.textContent = isBusy ? "Signing in…" : "Sign in";
    if (isBusy) this.#error.textContent = "";
  }
}
