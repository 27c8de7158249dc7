// One call of the REST interface: JSON in both directions, with the session cookie. There are two kinds of errors: ServerError,
// with the code and the wait time if the server sends one, or ConnectionLost.

import { ConnectionLost, ServerError } from "./strings.js";

const ANSWER_MS = 20_000;

/** `root`: the base URL of the interface. Returns the response, `{data}` or `{}`. */
export async function rest(method, path, body, root = document.baseURI) {
  let response;
  try {
    response = await fetch(new URL(path, root), {
      method,
      credentials: "same-origin",
      cache: "no-store",
      headers: body && { "Content-Type": "application/json" },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout?.(ANSWER_MS),
    });
  } catch {
    throw new ConnectionLost();
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const { message, extensions } = answer.errors?.[0] ?? { message: `The server answered ${response.status}.` };
  const waitSeconds = seconds(response.headers.get("Retry-After"));
  throw new ServerError({ ...extensions, message }, response.status, waitSeconds);
}

/** Returns whether a refusal means that there is no valid session. */
export function isSignedOut(error) {
  return error.status === 401 || error.code === "INVALID_TOKEN";
}

/** RFC 9110, section 10.2.3: a number of seconds, or a date. */
function seconds(retryAfter) {
  if (!retryAfter) return 0;
  const number = Number(retryAfter);
  const wait = Number.isNaN(number) ? (Date.parse(retryAfter) - Date.now()) / 1000 : number;
  return wait > 0 ? Math.ceil(wait) : 0;
}
