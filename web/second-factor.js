// Two-factor sign-in of the user's account, step by step: password, secret, code, recovery codes; and turning it off. One
// step is shown at a time. The password is kept only between two steps.

import { Form } from "./form.js";
import { qrCode } from "./qr.js";
import { RecoveryCodes } from "./recovery-codes.js";
import { rest } from "./rest.js";
import { copy, count, sentence } from "./words.js";

const STEPS = ["factor-choices", "factor-password-form", "factor-enable-form", "factor-disable-form", "recovery"];
const find = (id) => document.getElementById(id);

export class SecondFactor {
  #state = { enabled: false };
  #may = true;
  #password = "";
  #wants = "setup";
  #turn = 0;
  #forms;
  #codes = new RecoveryCodes(() => this.#finish());

  constructor() {
    this.#forms = {
      "factor-password-form": new Form(find("factor-password-form"), (values) => this.#prove(values), ofPassword),
      "factor-enable-form": new Form(find("factor-enable-form"), (values) => this.#enable(values), ofCode),
      "factor-disable-form": new Form(find("factor-disable-form"), (values) => this.#disable(values), ofCode),
    };
    const begin = (id, step, wants) => find(id).addEventListener("click", () => ((this.#wants = wants), this.#go(step)));
    begin("factor-begin", "factor-password-form", "setup");
    begin("factor-codes", "factor-password-form", "codes");
    begin("factor-end", "factor-disable-form");
    for (const button of find("factor").querySelectorAll("[data-cancel]")) button.addEventListener("click", () => this.#finish());
    find("factor-copy").addEventListener("click", async () => {
      find("factor-copy").textContent = (await copy(find("factor-secret").textContent.replaceAll(" ", ""))) ? "Copied" : "Select it to copy";
    });
  }

  /** Reads the state of the account. */
  async read() {
    this.#state = (await rest("GET", "users/me/tfa")).data;
    this.#draw();
  }

  allow(may) {
    this.#may = may;
    this.#draw();
  }

  forget() {
    this.#turn += 1;
    this.#password = "";
    find("factor-qr").replaceChildren();
    find("factor-secret").textContent = "";
    find("factor-link").removeAttribute("href");
    find("factor-copy").textContent = "Copy";
    this.#codes.forget();
    for (const form of Object.values(this.#forms)) form.clear();
    this.#step("factor-choices");
  }

  #draw() {
    const { enabled, recovery_codes_left: left } = this.#state;
    find("factor").hidden = !enabled && !this.#may;
    find("factor-state").dataset.state = enabled ? "on" : "off";
    find("factor-state").textContent = !enabled
      ? "Off. Turn it on to sign in with your password and a code from an app on your phone."
      : `On. ${left ? `${count(left, "recovery code is", "recovery codes are")} left.` : "You have no recovery codes: create some, in case you lose your phone."}`;
    find("factor-begin").hidden = enabled;
    find("factor-codes").hidden = find("factor-end").hidden = !enabled;
  }

  async #prove({ password }) {
    if (this.#wants === "codes") return this.#showCodes(password);
    const turn = this.#turn;
    const { data } = await rest("POST", "users/me/tfa/generate", { password });
    // The dialog was closed meanwhile: the next person to open it must not see the secret.
    if (turn !== this.#turn) return;
    this.#password = password;
    find("factor-secret").textContent = data.secret.match(/.{1,4}/g).join(" ");
    find("factor-link").href = data.otpauth_url;
    find("factor-qr").replaceChildren(qrCode(data.otpauth_url) ?? "");
    this.#go("factor-enable-form");
  }

  async #enable({ otp }) {
    const secret = find("factor-secret").textContent.replaceAll(" ", "");
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
    const turn = this.#turn;
    const { data } = await rest("POST", "users/me/tfa/recovery-codes", { password });
    if (turn !== this.#turn) return;
    this.#password = "";
    this.#state = { enabled: true, recovery_codes_left: data.recovery_codes.length };
    this.#draw();
    this.#codes.show(data.recovery_codes);
    this.#go("recovery");
  }

  async #finish() {
    this.forget();
    await this.read().catch(() => {});
    find("factor-title").focus();
  }

  #go(step) {
    this.#step(step);
    // In steps with instructions, these get the focus instead of the field.
    const first = { "factor-enable-form": "factor-how", recovery: "recovery-title" }[step];
    if (first) find(first).focus({ preventScroll: true });
    else this.#forms[step].focus();
    find("factor").scrollIntoView({ block: "start" });
  }

  #step(shown) {
    for (const step of STEPS) find(step).hidden = step !== shown;
  }
}

function ofPassword(error) {
  return error.code === "INVALID_CREDENTIALS" ? ["The password is wrong.", "password"] : sentence(error);
}

function ofCode(error) {
  if (error.code === "INVALID_PAYLOAD" && /"otp"/.test(error.message)) return ["That code is wrong. It changes every 30 seconds: try the newest one.", "otp"];
  return sentence(error);
}
