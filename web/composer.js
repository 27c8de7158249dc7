// The message input: grows with its text, sends on Enter, keeps an unsent draft across a reload of the tab, and requests
// editing of the last message on ArrowUp. Sending is left to its caller.

const DRAFT = "chinwag.draft";

export class Composer {
  #input = document.getElementById("composer-text");
  #button = document.getElementById("send");

  /** `send(text)`; `editLast()` returns whether there was a message to edit. */
  constructor({ send, editLast }) {
    const form = document.getElementById("composer-form");
    this.text = stored() ?? "";
    this.#input.addEventListener("input", () => this.#changed());
    this.#input.addEventListener("keydown", (event) => {
      if (isSendKey(event)) {
        event.preventDefault();
        form.requestSubmit();
      } else if (event.key === "ArrowUp" && !this.text && editLast()) {
        event.preventDefault();
      }
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.text.trim();
      this.#input.focus();
      if (!text || this.#input.disabled) return;
      this.text = "";
      send(text);
    });
  }

  get text() {
    return this.#input.value;
  }

  set text(text) {
    this.#input.value = text;
    this.#changed();
  }

  focus() {
    this.#input.focus();
  }

  allow(isAllowed) {
    this.#input.disabled = this.#button.disabled = !isAllowed;
    this.#input.placeholder = isAllowed ? "Write a message" : "You may not write here";
  }

  #changed() {
    grow(this.#input);
    this.#button.classList.toggle("ready", this.text.trim() !== "");
    stored(this.text);
  }
}

export function isSendKey(event) {
  return event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229;
}

/** Makes a text box as high as its text; style.css sets the maximum. */
export function grow(input) {
  input.style.height = "auto";
  if (input.scrollHeight) input.style.height = `${input.scrollHeight + input.offsetHeight - input.clientHeight}px`;
}

function stored(text) {
  try {
    if (text === undefined) return sessionStorage.getItem(DRAFT);
    sessionStorage.setItem(DRAFT, text);
  } catch {
    return null;
  }
}
