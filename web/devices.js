// Signed-in devices: a row for each session, and buttons to end one, all others, or all.

import { rest } from "./rest.js";
import { clockTime, dayName, sentence } from "./words.js";

const find = (id) => document.getElementById(id);
const BROWSERS = [[/Edg\w*\//, "Edge"], [/OPR\//, "Opera"], [/Firefox\/|FxiOS\//, "Firefox"], [/Chrome\/|CriOS\/|Chromium\//, "Chrome"], [/Safari\//, "Safari"]];
const SYSTEMS = [[/iPhone|iPad/, "iOS"], [/Android/, "Android"], [/Windows/, "Windows"], [/Mac OS X|Macintosh/, "macOS"], [/CrOS/, "ChromeOS"], [/Linux/, "Linux"]];

export class Devices {
  #everywhere;

  /** `everywhere()` signs out everywhere, this page included. */
  constructor({ everywhere }) {
    this.#everywhere = everywhere;
    find("devices-others").addEventListener("click", () => this.#do(() => this.#endOthers()));
    find("devices-all").addEventListener("click", () => this.#do(() => this.#everywhere()));
  }

  /** Reloads the list: the current session first, then the most recently renewed. */
  async read() {
    const { data } = await rest("GET", "users/me/sessions");
    const latest = (device) => (device.current ? Infinity : Date.parse(device.date_renewed));
    data.sort((one, other) => latest(other) - latest(one));
    find("devices").replaceChildren(...data.map((device) => this.#line(device)));
    find("devices-others").hidden = !data.some(({ current }) => !current);
  }

  forget() {
    find("devices-error").textContent = "";
    find("devices").replaceChildren();
  }

  #line(device) {
    const line = find("device-template").content.firstElementChild.cloneNode(true);
    const [name, note, button] = [".device-name", ".device-note", "button"].map((part) => line.querySelector(part));
    name.textContent = nameOf(device.user_agent);
    const when = new Date(device.current ? device.date_created : device.date_renewed);
    const day = dayName(when).replace(/^(Today|Yesterday)$/, (word) => word.toLowerCase());
    const times = `${device.current ? "Signed in" : "Last seen"} ${day}, ${clockTime(when)}`;
    note.textContent = [times, device.ip].filter(Boolean).join(" · ");
    line.querySelector(".badge").hidden = !device.current;
    button.hidden = device.current;
    button.setAttribute("aria-label", `Sign out: ${name.textContent}, ${note.textContent}`);
    button.addEventListener("click", () => this.#do(() => this.#end(device.id), button));
    return line;
  }

  async #end(id) {
    // Another device may have ended it meanwhile.
    await rest("DELETE", `users/me/sessions/${id}`).catch((error) => {
      if (error.code !== "FORBIDDEN") throw error;
    });
    await this.read();
    find("devices-title").focus();
  }

  async #endOthers() {
    await rest("DELETE", "users/me/sessions?keep_current=true");
    await this.read();
    find("devices-title").focus();
  }

  async #do(action, button) {
    find("devices-error").textContent = "";
    if (button) button.disabled = true;
    try {
      await action();
    } catch (error) {
      find("devices-error").textContent = sentence(error);
    }
    if (button) button.disabled = false;
  }
}

/** The display name of a browser. Clients choose their user agent freely, so this is a guess. */
export function nameOf(userAgent) {
  if (!userAgent) return "An unknown client";
  const [browser, system] = [BROWSERS, SYSTEMS].map((list) => list.find(([pattern]) => pattern.test(userAgent))?.[1]);
  if (browser && system) return `${browser} on ${system}`;
  return browser ?? [...userAgent].slice(0, 60).join("");
}
