// Recovery codes, shown only once: to copy, to save as a file, or to write down.

import { copy } from "./words.js";

const find = (id) => document.getElementById(id);

export class RecoveryCodes {
  #text = "";

  /** `done()` is called once they have been saved. */
  constructor(done) {
    find("recovery-copy").addEventListener("click", async () => {
      find("recovery-status").textContent = (await copy(this.#text)) ? "Copied." : "This browser does not allow copying. Select the codes, or save the file.";
    });
    find("recovery-download").addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([`${this.#text}\n`], { type: "text/plain" }));
      link.download = "recovery-codes.txt";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      find("recovery-status").textContent = "The download has started.";
    });
    find("recovery-done").addEventListener("click", done);
  }

  show(codes) {
    this.#text = codes.join("\n");
    find("recovery-list").replaceChildren(
      ...codes.map((code) => {
        const line = document.createElement("li");
        line.textContent = code;
        return line;
      }),
    );
  }

  forget() {
    this.#text = "";
    find("recovery-list").replaceChildren();
    find("recovery-status").textContent = "";
  }
}
