// Two-factor sign-in of the user's account, step by step: password, secret, code, recovery codes; and turning it off. One
// step is shown at a time. The password is kept only between two steps.

import { Form } from "./form.js";
import { qrCode } from "./qr.js";
import { RecoveryCodes } from "./recovery-codes.js";
import { rest } from "./rest.js";
import { copy, count, errorText } from "./strings.js";

const STEPS = ["factor-choices", "factor-password-form", "factor-enable-form", "factor-disable-form", "recovery"];
const byId = (id) => document.getElementById(id);

export class SecondFactor {
  #state = { enabled: false };
  #isAllowed = true;
  #password = "";
  #goal = "setup";
  #generation = 0;
  #forms;
  #codes = new RecoveryCodes(() => this.#finish());

  constructor() {
    this.#forms = {
      "factor-password-form": new Form(byId("factor-password-form"), (values) => this.#confirmPassword(values), passwordError),
      "factor-enable-form": new Form(byId("factor-enable-form"), (values) => this.#enable(values), codeError),
      "factor-disable-form": new Form(byId("factor-disable-form"), (values) => this.#disable(values), codeError),
    };
    const begin = (id, step, goal) => byId(id).addEventListener("click", () => ((this.#goal = goal), this.#goTo(step)));
    begin("factor-begin", "factor-password-form", "setup");
    begin("factor-codes", "factor-password-form", "codes");
    begin("factor-end", "factor-disable-form");
    for (const button of byId("factor").querySelectorAll("[data-cancel]")) button.addEventListener("click", () => this.#finish());
    byId("factor-copy").addEventListener("click", async () => {
      byId("factor-copy").textContent = (await copy(byId("factor-secret").textContent.replaceAll(" ", ""))) ? "Copied" : "Select it to copy";
    });
  }

  /** Reads the state of the account. */
  async read() {
    this.#state = (await rest("GET", "users/me/tfa")).data;
    this.#render();
  }

  allow(isAllowed) {
    this.#isAllowed = isAllowed;
    this.#render();
  }

  forget() {
    this.#generation += 1;
    this.#password = "";
    byId("factor-qr").replaceChildren();
    byId("factor-secret").textContent = "";
    byId("factor-link").removeAttribute("href");
    byId("factor-copy").textContent = "Copy";
    this.#codes.forget();
    for (const form of Object.values(this.#forms)) form.clear();
    this.#step("factor-choices");
  }

  #render() {
    const { enabled, recovery_codes_left: left } = this.#state;
    byId("factor").hidden = !enabled && !this.#isAllowed;
    byId("factor-state").dataset.state = enabled ? "on" : "off";
    byId("factor-state").textContent = !enabled
      ? "Off. Turn it on to sign in with your password and a code from an app on your phone."
      : `On. ${left ? `${count(left, "recovery code is", "recovery codes are")} left.` : "You have no recovery codes: create some, in case you lose your phone."}`;
    byId("factor-begin").hidden = enabled;
    byId("factor-codes").hidden = byId("factor-end").hidden = !enabled;
  }

  async #confirmPassword({ password }) {
    if (this.#goal === "codes") return this.#showCodes(password);
    const generation = this.#generation;
    const { data } = await rest("POST", "users/me/tfa/generate", { password });
    // The dialog was closed meanwhile: the next person to open it must not see the secret.
    if (generation !== this.#generation) return;
    this.#password = password;
    byId("factor-secret").textContent = data.secret.match(/.{1,4}/g).join(" ");
    byId("factor-link").href = data.otpauth_url;
    byId("factor-qr").replaceChildren(qrCode(data.otpauth_url) ?? "");
    this.#goTo("factor-enable-form");
  }

  async #enable({ otp }) {
    const secret = byId("factor-secret").textContent.replaceAll(" ", "");
    await rest("POST", "users/me/tfa/enable", { secret, otp: otp.trim() });
    try {
      await this.#showCodes(this.#password);
    } catch {
      // Two-factor sign-in is on regardless; the page says that there are no codes yet.
      await this.#finish();
    }
  }

  async #disable({ otp }) {
    await rest("POST", "users/me/tfa/disable", { otp: otp.trim() });
    await this.#finish();
  }

  async #showCodes(password) {
    const generation = this.#generation;
    const { data } = await rest("POST", "users/me/tfa/recovery-codes", { password });
    if (generation !== this.#generation) return;
    this.#password = "";
    this.#state = { enabled: true, recovery_codes_left: data.recovery_codes.length };
    this.#render();
    this.#codes.show(data.recovery_codes);
    this.#goTo("recovery");
  }

  async #finish() {
    this.forget();
    await this.read().catch(() => {});
    byId("factor-title").focus();
  }

  #goTo(step) {
    this.#step(step);
    // In steps with instructions, these get the focus instead of the field.
    const first = { "factor-enable-form": "factor-how", recovery: "recovery-title" }[step];
    if (first) byId(first).focus({ preventScroll: true });
    else this.#forms[step].focus();
    byId("factor").scrollIntoView({ block: "start" });
  }

  #step(shown) {
    for (const step of STEPS) byId(step).hidden = step !== shown;
  }
}

function passwordError(error) {
  return error.code === "INVALID_CREDENTIALS" ? ["The password is wrong.", "password"] : errorText(error);
}

function codeError(error) {
  if (error.code === "INVALID_PAYLOAD" && /"otp"/.test(error.message)) return ["That code is wrong. It changes every 30 seconds: try the newest one.", "otp"];
  return errorText(error);
}
