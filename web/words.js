// What the page says to people: names, initials, days, times, and a plain sentence for
// everything that can go wrong. Knows the two kinds of failure (a refusal with a code, a
// connection that is gone) but neither raises nor catches them.

export class Lost extends Error {
  name = "Lost";
}

export class Refusal extends Error {
  name = "Refusal";
  constructor({ code = "UNKNOWN", message = "The server refused." } = {}, status = 0) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

const SENTENCES = {
  FORBIDDEN: "You are not allowed to do that here.",
  REQUESTS_EXCEEDED: "That was a little fast. Wait a moment, then try again.",
  SERVICE_UNAVAILABLE: "The server is busy. Wait a moment, then try again.",
  CONTENT_TOO_LARGE: "That message is too long for this server.",
  INTERNAL_SERVER_ERROR: "Something went wrong on the server. Try again in a moment.",
};

/** One sentence for a person; the server's own words where it chose them for this case. */
export function sentence(error) {
  if (error instanceof Lost) return "The server cannot be reached.";
  if (!(error instanceof Refusal)) return "Something went wrong on this page. Reloading it may help.";
  if (error.status === 429) return SENTENCES.REQUESTS_EXCEEDED;
  if (SENTENCES[error.code]) return SENTENCES[error.code];
  if (error.status >= 500) return SENTENCES.SERVICE_UNAVAILABLE;
  return error.message;
}

export function initials(name) {
  const words = name.trim().split(/\s+/);
  const first = [...words[0]][0] ?? "?";
  const second = words.length > 1 ? [...words.at(-1)][0] : "";
  return (first + second).toLocaleUpperCase();
}

/** The same name has the same colour on every screen: one of twelve classes in style.css. */
export function hue(name) {
  let sum = 7;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 9973;
  return `hue-${sum % 12}`;
}

export function dayKey(date) {
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
}

export function dayName(date) {
  const now = new Date();
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  if (dayKey(date) === dayKey(now)) return "Today";
  if (dayKey(date) === dayKey(yesterday)) return "Yesterday";
  const year = date.getFullYear() === now.getFullYear() ? undefined : "numeric";
  return date.toLocaleDateString(undefined, { weekday: "long", day: "numeric", month: "long", year });
}

export function clockTime(date) {
  return date.toLocaleTimeString(undefined, { hour: "numeric", minute: "2-digit" });
}

export function count(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}
