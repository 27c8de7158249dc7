// The texts of the page: names, initials, days, times, and a plain sentence for every error. Distinguishes two kinds of
// errors (a refusal with a code, a lost connection) but neither throws nor catches them.

export class ConnectionLost extends Error {
  name = "ConnectionLost";
}

export class ServerError extends Error {
  name = "ServerError";
  /** `waitSeconds`: the wait time requested by the server before the next attempt, or 0. */
  constructor({ code = "UNKNOWN", message = "The server refused.", field, type } = {}, status = 0, waitSeconds = 0) {
    super(message);
    Object.assign(this, { code, field, type, status, waitSeconds });
  }
}

const SENTENCES = {
  FORBIDDEN: "You are not allowed to do that here.",
  REQUESTS_EXCEEDED: "That was a little fast. Wait a moment, then try again.",
  SERVICE_UNAVAILABLE: "The server is busy. Wait a moment, then try again.",
  CONTENT_TOO_LARGE: "That message is too long for this server.",
  VALUE_TOO_LONG: "That is too long. Shorten it, then try again.",
  INTERNAL_SERVER_ERROR: "Something went wrong on the server. Try again in a moment.",
  INVALID_CREDENTIALS: "Email or password is wrong.",
  INVALID_OTP: "That code is wrong. App codes change every 30 seconds, and each code works once.",
};

const PASSWORDS = {
  min_length: "The password needs at least 8 characters.",
  common: "This is one of the most common passwords. Choose another.",
  regex: "This password does not meet the rules of this server. Make it longer, or add capital letters, digits and symbols.",
};

/** Returns one sentence for an error; the server's message if it is specific to this case. */
export function errorText(error) {
  if (error instanceof ConnectionLost) return "The server cannot be reached. Check the connection and try again.";
  if (!(error instanceof ServerError)) return "Something went wrong on this page. Reloading it may help.";
  if (error.waitSeconds && error.status === 429) return `Too many attempts. Try again in ${duration(error.waitSeconds)}.`;
  if (error.waitSeconds) return `The server is busy. Try again in ${duration(error.waitSeconds)}.`;
  if (error.status === 429) return SENTENCES.REQUESTS_EXCEEDED;
  if (error.code === "FAILED_VALIDATION" && error.field === "password") return PASSWORDS[error.type] ?? "Choose another password.";
  if (SENTENCES[error.code]) return SENTENCES[error.code];
  if (error.status >= 500) return SENTENCES.SERVICE_UNAVAILABLE;
  return error.message;
}

/** A wait time in words. */
export function duration(seconds) {
  if (seconds <= 90) return count(seconds, "second", "seconds");
  const minutes = Math.ceil(seconds / 60);
  return minutes <= 90 ? count(minutes, "minute", "minutes") : count(Math.ceil(minutes / 60), "hour", "hours");
}

/** A wait time in the format of a clock: 0:29. */
export function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

export function initials(name) {
  const words = name.trim().split(/\s+/);
  const first = [...words[0]][0] ?? "?";
  const second = words.length > 1 ? [...words.at(-1)][0] : "";
  return (first + second).toLocaleUpperCase();
}

/** Returns a colour class for a name, the same on every device: one of twelve in style.css. */
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

/** Copies a text to the clipboard. Returns whether that worked: it does on pages with TLS or on localhost. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
