// The account dialog: name, password, two-factor sign-in, and signed-in devices. The last two are separate modules;
// permissions determine which parts are shown.

import { Devices } from "./devices.js";
import { Form, revealPasswords } from "./form.js";
import { rest } from "./rest.js";
import { SecondFactor } from "./second-factor.js";
import { errorText } from "./strings.js";

const byId = (id) => document.getElementById(id);

export class Account {
  #dialog = byId("account");
  #session;
  #name;
  #password;
  #factor = new SecondFactor();
  #devices;

  /** `renamed(name)` runs after a change of name, `signOut(end, note)` leaves the chat once `end` has ended the session. */
  constructor(session, { renamed, signOut }) {
    this.#session = session;
    revealPasswords(this.#dialog);
    this.#name = new Form(byId("name-form"), async ({ name }) => {
      await rest("PATCH", "users/me", { first_name: name.trim() });
      renamed(name.trim());
      this.#name.showSuccess("Saved. Your next message shows the new name.");
    });
    this.#password = new Form(byId("change-form"), (values) => this.#change(values), (error) => [errorText(error), "password"]);
    this.#devices = new Devices({
      signOutEverywhere: () => signOut(() => session.signOutEverywhere(), "You are signed out everywhere."),
    });
    byId("account-close").addEventListener("click", () => this.close());
    // A click on the backdrop targets the dialog itself and closes it; clicks inside have other targets.
    this.#dialog.addEventListener("click", ({ target }) => target === this.#dialog && this.close());
    this.#dialog.addEventListener("close", () => this.#forget());
  }

  /** Opens the dialog with all its data. Rejects if the server does not answer. */
  async open(me) {
    if (this.#dialog.open) return;
    const [can] = await Promise.all([this.#session.permissions(), this.#factor.read(), this.#devices.read()]);
    byId("name-form").hidden = !can.own("first_name");
    byId("change-form").hidden = !can.own("password");
    this.#factor.allow(can.own("tfa_secret"));
    this.#name.field("name").value = me.first_name ?? "";
    this.#dialog.showModal();
    byId("account-title").focus();
  }

  close() {
    if (this.#dialog.open) this.#dialog.close();
  }

  async #change({ password }) {
    await rest("PATCH", "users/me", { password });
    this.#password.clear();
    this.#password.showSuccess("Your password is changed. All other devices are signed out.");
    await this.#devices.read().catch(() => {});
  }

  /** Clears all input and shown secrets, as another person may open the dialog next. */
  #forget() {
    this.#name.clear();
    this.#password.clear();
    this.#factor.forget();
    this.#devices.forget();
  }
}
