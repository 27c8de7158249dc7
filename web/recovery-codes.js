// Recovery codes, shown only once: to copy, to save as a file, or to write down.

import { copy } from "./strings.js";

const byId = (id) => document.getElementById(id);

export class RecoveryCodes {
  #text = "";

  /** `done()` is called once they have been saved. */
  constructor(done) {
    byId("recovery-copy").addEventListener("click", async () => {
      byId("recovery-status").textContent = (await copy(this.#text)) ? "Copied." : "This browser does not allow copying. Select the codes, or save the file.";
    });
    byId("recovery-download").addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([`${this.#text}\n`], { type: "text/plain" }));
      link.download = "recovery-codes.txt";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      byId("recovery-status").textContent = "The download has started.";
    });
    byId("recovery-done").addEventListener("click", done);
  }

  show(codes) {
    this.#text = codes.join("\n");
    byId("recovery-list").replaceChildren(
      ...codes.map((code) => {
        const line = document.createElement("li");
        line.textContent = code;
        return line;
      }),
    );
  }

  forget() {
    this.#text = "";
    byId("recovery-list").replaceChildren();
    byId("recovery-status").textContent = "";
  }
}
