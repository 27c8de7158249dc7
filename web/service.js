// What the service says of itself: its name, who may sign up, whether there is a socket. It tells more
// to whoever is signed in, so this also says, without a refusal, whether somebody is.

import { isSignedOut, rest } from "./rest.js";

/** `{project, isSignedIn, hasSocket}`. Whether there is a socket is told to the signed in alone; else it counts as there. */
export async function askService() {
  const { data } = await ask();
  return { project: data.project ?? {}, isSignedIn: "version" in data, hasSocket: data.websocket !== false };
}

/** A stale cookie fails every request, this one too; the answer removes it, so the second try counts. */
function ask() {
  return rest("GET", "server/info").catch((error) => {
    if (!isSignedOut(error)) throw error;
    return rest("GET", "server/info");
  });
}
