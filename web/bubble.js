// One message on the page: its text, its time, and for the user's own messages the inline editor and the question before
// deletion. Text is inserted as text only. view.js determines its position in the list; the given actions perform edits and
// deletions on the server.

import { grow, isSendKey } from "./composer.js";
import { clockTime, errorText, hue, initials } from "./strings.js";

const template = (id) => document.getElementById(id).content.firstElementChild;

export class Bubble {
  element = template("message-template").cloneNode(true);
  #parts = {};
  #actions;
  #message;
  #can = {};
  #editor;
  #isConfirming = false;
  #rendered;

  /** `actions`: `edit(message, text)`, `delete(message)`, `retry(entry)`, `discard(entry)`, `focusComposer()`. */
  constructor(actions) {
    this.#actions = actions;
    for (const name of ["avatar", "author", "bubble", "text", "edited", "sending", "actions", "problem", "choices"]) {
      this.#parts[name] = this.element.querySelector(`.${name}`);
    }
    this.#parts.time = this.element.querySelector("time");
    [this.#parts.edit, this.#parts.delete] = this.#parts.actions.children;
    this.#parts.edit.addEventListener("click", () => this.edit());
    this.#parts.delete.addEventListener("click", () => this.#confirmDelete());
    this.#parts.choices.addEventListener("keydown", (event) => event.key === "Escape" && this.#isConfirming && this.#cancelDelete());
  }

  /** The text of an unfinished edit, if it differs from the message. */
  get draft() {
    const text = this.#editor?.elements[0].value;
    return text !== undefined && text !== this.#message.content ? text : "";
  }

  render(message, { isOwn, continues, can }) {
    // Each message re-renders up to a thousand bubbles: unchanged ones must cost nothing.
    const { id, content, created, edited } = message;
    const rendered = JSON.stringify([id, content, created.getTime(), edited, message.name, isOwn, continues, can.update, can.delete]);
    if (rendered === this.#rendered) return;
    this.#rendered = rendered;
    this.#message = message;
    this.#can = can;
    const { element } = this;
    element.dataset.id = message.id;
    element.dataset.own = String(isOwn);
    element.classList.toggle("own", isOwn);
    element.classList.toggle("continues", continues);
    element.removeAttribute("aria-busy");
    element.classList.remove("pending", "failed");
    const name = message.name ?? (isOwn ? "You" : "Someone");
    this.#renderAuthor(isOwn ? "You" : name, name);
    this.#renderText(message.content, message.created);
    this.#parts.edited.hidden = !message.edited;
    this.#parts.sending.hidden = true;
    this.#parts.time.hidden = false;
    this.#showActions();
    if (!this.#isConfirming) this.#showChoices();
  }

  /** Shows a message being sent, or one that failed. */
  renderOutgoing(entry, { continues }) {
    const { element } = this;
    this.#rendered = undefined;
    const isFailed = entry.state === "failed";
    element.dataset.own = "true";
    element.classList.add("own", "pending");
    element.classList.toggle("continues", continues);
    element.classList.toggle("failed", isFailed);
    element.setAttribute("aria-busy", String(!isFailed));
    this.#renderAuthor("You", "You");
    this.#renderText(entry.text, entry.created);
    this.#parts.sending.hidden = isFailed;
    this.#parts.time.hidden = true;
    this.#showProblem(entry.problem);
    if (isFailed === !this.#parts.choices.hidden) return;
    if (!isFailed) return this.#showChoices();
    this.#showChoices(
      { label: "Try again", run: () => this.#actions.retry(entry) },
      { label: "Discard", run: () => (this.#actions.discard(entry), this.#actions.focusComposer()) },
    );
  }

  /** Replaces the text with the editor. Returns whether that is possible. */
  edit() {
    if (!this.#can.update || this.element.dataset.own !== "true") return false;
    if (this.#editor) return true;
    this.#showChoices();
    this.#isConfirming = false;
    this.#editor = template("editor-template").cloneNode(true);
    const [input, cancel] = this.#editor.elements;
    input.value = this.#message.content;
    input.addEventListener("input", () => grow(input));
    input.addEventListener("keydown", (event) => {
      if (!isSendKey(event)) return;
      event.preventDefault();
      this.#editor.requestSubmit();
    });
    this.#editor.addEventListener("keydown", (event) => event.key === "Escape" && this.#closeEditor());
    this.#editor.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save(input);
    });
    cancel.addEventListener("click", () => this.#closeEditor());
    this.#parts.bubble.after(this.#editor);
    this.element.classList.add("editing");
    this.#showActions();
    grow(input);
    input.focus();
    input.setSelectionRange(input.value.length, input.value.length);
    return true;
  }

  async #save(input) {
    const text = input.value.trim();
    if (!text) return this.#showProblem("A message cannot be empty. Delete it instead, or press Escape.");
    if (text === this.#message.content) return this.#closeEditor();
    const editor = this.#editor;
    editor.setAttribute("aria-busy", "true");
    input.readOnly = true;
    try {
      await this.#actions.edit(this.#message, text);
      if (editor === this.#editor) this.#closeEditor();
    } catch (error) {
      this.#showProblem(`Not saved. ${errorText(error)}`);
      input.focus();
      this.#parts.problem.scrollIntoView({ block: "nearest" });
    }
    editor.removeAttribute("aria-busy");
    input.readOnly = false;
  }

  #closeEditor() {
    this.#editor?.remove();
    this.#editor = undefined;
    this.element.classList.remove("editing");
    this.#showProblem();
    this.#showActions();
    this.#actions.focusComposer();
  }

  /** Asks in place before deleting, with the harmless answer focused. */
  #confirmDelete() {
    this.#isConfirming = true;
    this.#showActions();
    this.#showProblem("Delete this message for everyone?");
    this.#showChoices(
      { label: "Delete", testid: "delete-confirm", style: "danger", run: () => this.#delete() },
      { label: "Keep it", testid: "delete-cancel", run: () => this.#cancelDelete() },
    );
    this.#parts.choices.lastElementChild.focus();
  }

  #cancelDelete() {
    this.#isConfirming = false;
    this.#showChoices();
    this.#showActions();
    this.#parts.delete.focus();
  }

  async #delete() {
    this.#parts.choices.firstElementChild.disabled = true;
    try {
      await this.#actions.delete(this.#message);
      this.#actions.focusComposer();
    } catch (error) {
      this.#showProblem(`Not deleted. ${errorText(error)}`);
      this.#parts.choices.firstElementChild.disabled = false;
    }
  }

  #renderAuthor(author, colourKey) {
    const { author: label, avatar } = this.#parts;
    if (label.textContent === author && avatar.dataset.name === colourKey) return;
    label.textContent = author;
    label.className = `author ${hue(colourKey)}`;
    avatar.dataset.name = colourKey;
    avatar.textContent = initials(colourKey);
    avatar.className = `avatar ${hue(colourKey)}`;
  }

  #renderText(content, created) {
    const { text, time } = this.#parts;
    if (text.textContent !== content) text.textContent = content;
    time.dateTime = created.toISOString();
    time.textContent = clockTime(created);
    time.title = created.toLocaleString();
    const excerpt = content.length > 40 ? `${content.slice(0, 40)}…` : content;
    this.#parts.edit.setAttribute("aria-label", `Edit “${excerpt}”`);
    this.#parts.delete.setAttribute("aria-label", `Delete “${excerpt}”`);
  }

  #showActions() {
    const { actions, edit, delete: remove } = this.#parts;
    const isFree = this.element.dataset.own === "true" && !this.#editor && !this.#isConfirming;
    edit.hidden = !this.#can.update;
    remove.hidden = !this.#can.delete;
    actions.hidden = !isFree || (!this.#can.update && !this.#can.delete);
  }

  #showProblem(text) {
    const { problem } = this.#parts;
    problem.hidden = !text;
    if (problem.textContent !== (text ?? "")) problem.textContent = text ?? "";
  }

  #showChoices(...choices) {
    const { choices: row } = this.#parts;
    const buttons = choices.map(({ label, testid = "", style = "", run }) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = `small ${style}`;
      button.dataset.testid = testid || label.toLowerCase().replace(" ", "-");
      button.textContent = label;
      button.addEventListener("click", run);
      return button;
    });
    row.replaceChildren(...buttons);
    row.hidden = buttons.length === 0;
    if (!buttons.length && !this.#editor) this.#showProblem();
  }
}
