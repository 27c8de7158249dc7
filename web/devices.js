// Signed-in devices: a row for each session, and buttons to end one, all others, or all.

import { rest } from "./rest.js";
import { clockTime, dayName, errorText } from "./strings.js";

const byId = (id) => document.getElementById(id);
const BROWSERS = [[/Edg\w*\//, "Edge"], [/OPR\//, "Opera"], [/Firefox\/|FxiOS\//, "Firefox"], [/Chrome\/|CriOS\/|Chromium\//, "Chrome"], [/Safari\//, "Safari"]];
const SYSTEMS = [[/iPhone|iPad/, "iOS"], [/Android/, "Android"], [/Windows/, "Windows"], [/Mac OS X|Macintosh/, "macOS"], [/CrOS/, "ChromeOS"], [/Linux/, "Linux"]];

export class Devices {
  #signOutEverywhere;

  /** `signOutEverywhere()` signs out everywhere, this page included. */
  constructor({ signOutEverywhere }) {
    this.#signOutEverywhere = signOutEverywhere;
    byId("devices-others").addEventListener("click", () => this.#run(() => this.#endOthers()));
    byId("devices-all").addEventListener("click", () => this.#run(() => this.#signOutEverywhere()));
  }

  /** Reloads the list: the current session first, then the most recently renewed. */
  async read() {
    const { data } = await rest("GET", "users/me/sessions");
    const latest = (device) => (device.current ? Infinity : Date.parse(device.date_renewed));
    data.sort((one, other) => latest(other) - latest(one));
    byId("devices").replaceChildren(...data.map((device) => this.#row(device)));
    byId("devices-others").hidden = !data.some(({ current }) => !current);
  }

  forget() {
    byId("devices-error").textContent = "";
    byId("devices").replaceChildren();
  }

  #row(device) {
    const line = byId("device-template").content.firstElementChild.cloneNode(true);
    const [name, note, button] = [".device-name", ".device-note", "button"].map((part) => line.querySelector(part));
    name.textContent = nameOf(device.user_agent);
    const when = new Date(device.current ? device.date_created : device.date_renewed);
    const day = dayName(when).replace(/^(Today|Yesterday)$/, (word) => word.toLowerCase());
    const times = `${device.current ? "Signed in" : "Last seen"} ${day}, ${clockTime(when)}`;
    note.textContent = [times, device.ip].filter(Boolean).join(" · ");
    line.querySelector(".badge").hidden = !device.current;
    button.hidden = device.current;
    button.setAttribute("aria-label", `Sign out: ${name.textContent}, ${note.textContent}`);
    button.addEventListener("click", () => this.#run(() => this.#end(device.id), button));
    return line;
  }

  async #end(id) {
    // Another device may have ended it meanwhile.
    await rest("DELETE", `users/me/sessions/${id}`).catch((error) => {
      if (error.code !== "FORBIDDEN") throw error;
    });
    await this.read();
    byId("devices-title").focus();
  }

  async #endOthers() {
    await rest("DELETE", "users/me/sessions?keep_current=true");
    await this.read();
    byId("devices-title").focus();
  }

  async #run(action, button) {
    byId("devices-error").textContent = "";
    if (button) button.disabled = true;
    try {
      await action();
    } catch (error) {
      byId("devices-error").textContent = errorText(error);
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
