// The server's public information: its name, whether sign-up is open, whether there is a socket. Signed-in users get more
// fields, so this also detects a session without causing an error.

import { isSignedOut, rest } from "./rest.js";

/** `{project, isSignedIn, hasSocket}`. Only signed-in users learn whether there is a socket; others get true. */
export async function fetchServerInfo() {
  const { data } = await request();
  return { project: data.project ?? {}, isSignedIn: "version" in data, hasSocket: data.websocket !== false };
}

/** A stale cookie fails every request, this one too; the response removes it, so the second attempt counts. */
function request() {
  return rest("GET", "server/info").catch((error) => {
    if (!isSignedOut(error)) throw error;
    return rest("GET", "server/info");
  });
}
