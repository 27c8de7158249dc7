// A form sent by script: asks for missing fields, is busy while it waits, shows errors at their field, and waits for the
// time that the server demands. The given function sends the values; `explain` phrases the errors.

import { clock, errorText } from "./strings.js";

export class Form {
  #form;
  #error;
  #button;
  #idle;
  #waiting;

  /** `send(values)` rejects with an error to explain, `explain(error)` returns a text or `[text, field name]`. */
  constructor(form, send, explain = errorText) {
    this.#form = form;
    this.#error = form.querySelector(".card-error");
    this.#button = form.querySelector("[type=submit]");
    this.#idle = this.#button.textContent;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (this.#button.disabled) return;
      this.showError("");
      const missing = [...form.elements].find((field) => field.required && !field.value.trim() && field.offsetParent);
      if (missing) return this.showError(`Please fill in: ${nameOf(missing)}.`, missing.name);
      this.#busy(true);
      try {
        await send(Object.fromEntries(new FormData(form)));
      } catch (error) {
        this.#busy(false);
        if (error.waitSeconds) this.#wait(error.waitSeconds);
        this.showError(...[explain(error)].flat());
      }
      if (!this.#waiting) this.#busy(false);
    });
    form.addEventListener("input", ({ target }) => target.removeAttribute("aria-invalid"));
  }

  /** The field with that name. */
  field(name) {
    return this.#form.elements[name];
  }

  /** Shows or hides the form. Clears its input, except addresses and names. */
  show(isShown = true) {
    this.#form.hidden = !isShown;
    this.clear();
  }

  clear() {
    this.showError("");
    for (const field of this.#form.elements) if (field.autocomplete && !/name|email/.test(field.autocomplete)) field.value = "";
    // A revealed password must not be visible to the next person.
    for (const button of this.#form.querySelectorAll(".reveal[data-shown]")) button.click();
  }

  /** Focuses the first field to fill in. */
  focus() {
    const fields = [...this.#form.elements].filter((field) => field.matches("input") && field.offsetParent);
    (fields.find((field) => !field.value) ?? fields.at(-1) ?? this.#button).focus();
  }

  /** Shows an error and focuses its field. */
  showError(text, name) {
    delete this.#error.dataset.kind;
    for (const field of this.#form.elements) field.removeAttribute("aria-invalid");
    this.#error.textContent = text;
    const field = name && this.field(name);
    if (!field) return;
    field.setAttribute("aria-invalid", "true");
    field.focus();
  }

  /** Shows a success message. */
  showSuccess(text) {
    this.showError(text);
    this.#error.dataset.kind = "good";
  }

  #busy(isBusy) {
    this.#form.setAttribute("aria-busy", String(isBusy));
    this.#button.disabled = isBusy;
    this.#button.textContent = isBusy ? (this.#button.dataset.busy ?? this.#idle) : this.#idle;
  }

  /** The button counts down and is enabled at the end. A screen reader announces only the beginning and the end. */
  #wait(seconds) {
    clearInterval(this.#waiting);
    const end = Date.now() + seconds * 1000;
    const update = () => {
      const left = Math.ceil((end - Date.now()) / 1000);
      this.#button.disabled = left > 0;
      this.#button.textContent = left > 0 ? `Wait ${clock(left)}` : this.#idle;
      if (left > 0) return;
      this.#waiting = void clearInterval(this.#waiting);
      this.showSuccess("You can try again now.");
    };
    this.#waiting = setInterval(update, 250);
    update();
  }
}

/** Adds a button to each password field of a page, which reveals the text of the field. */
export function revealPasswords(root = document) {
  for (const field of root.querySelectorAll("input[type=password]")) {
    const [box, button] = [document.createElement("span"), document.createElement("button")];
    box.className = "with-reveal";
    Object.assign(button, { type: "button", className: "reveal", textContent: "Show" });
    button.setAttribute("aria-label", `Show: ${nameOf(field)}`);
    field.replaceWith(box);
    box.append(field, button);
    button.addEventListener("click", () => {
      const isShown = button.toggleAttribute("data-shown");
      field.type = isShown ? "text" : "password";
      button.textContent = isShown ? "Hide" : "Show";
      button.setAttribute("aria-label", `${button.textContent}: ${nameOf(field)}`);
    });
  }
}

function nameOf(field) {
  return (field.labels?.[0]?.textContent ?? field.name).trim();
}
