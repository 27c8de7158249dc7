// The dialog about one's own account: name, password, two-factor sign-in, and where one is signed
// in. The last two are parts of their own; which parts are shown is a matter of rights.

import { Devices } from "./devices.js";
import { Form, revealPasswords } from "./form.js";
import { rest } from "./rest.js";
import { SecondFactor } from "./second-factor.js";
import { sentence } from "./words.js";

const find = (id) => document.getElementById(id);

export class Account {
  #dialog = find("account");
  #session;
  #name;
  #password;
  #factor = new SecondFactor();
  #devices;

  /** `renamed(name)` when the name has changed, `signOut(end, note)` leaves the chat once `end` has ended the session. */
  constructor(session, { renamed, signOut }) {
    this.#session = session;
    revealPasswords(this.#dialog);
    this.#name = new Form(find("name-form"), async ({ name }) => {
      await rest("PATCH", "users/me", { first_name: name.trim() });
      renamed(name.trim());
      this.#name.tell("Saved. Others see it from your next message on.");
    });
    this.#password = new Form(find("change-form"), (values) => this.#change(values), (error) => [sentence(error), "password"]);
    this.#devices = new Devices({
      everywhere: () => signOut(() => session.signOutEverywhere(), "You are signed out everywhere."),
    });
    find("account-close").addEventListener("click", () => this.close());
    // A click beside the dialog closes it; one inside has a target of its own.
    this.#dialog.addEventListener("click", ({ target }) => target === this.#dialog && this.close());
    this.#dialog.addEventListener("close", () => this.#forget());
  }

  /** Opens it, with everything in its place. Rejects if the server does not answer. */
  async open(me) {
    if (this.#dialog.open) return;
    const [can] = await Promise.all([this.#session.permissions(), this.#factor.read(), this.#devices.read()]);
    find("name-form").hidden = !can.own("first_name");
    find("change-form").hidden = !can.own("password");
    this.#factor.allow(can.own("tfa_secret"));
    this.#name.field("name").value = me.first_name ?? "";
    this.#dialog.showModal();
    find("account-title").focus();
  }

  close() {
    if (this.#dialog.open) this.#dialog.close();
  }

  async #change({ password }) {
    await rest("PATCH", "users/me", { password });
    this.#password.clear();
    this.#password.tell("Your password is changed. Everywhere else you are signed out.");
    await this.#devices.read().catch(() => {});
  }

  /** What was typed in or shown is not there when it is opened again, by whomever. */
  #forget() {
    this.#name.clear();
    this.#password.clear();
    this.#factor.forget();
    this.#devices.forget();
  }
}
