// The screens before sign-in: the forms to sign in and to sign up, and the buttons of identity providers. The URL fragment
// selects the screen; the server is asked once for its options. Contains no chat.

import { rest } from "./rest.js";
import { askService } from "./service.js";
import { SignIn } from "./signin.js";
import { SignUp } from "./signup.js";

const find = (id) => document.getElementById(id);

// Results of links to this page: those in emails use the fragment, identity providers the query parameter `reason`.
const NOTES = {
  "#confirmed": "Your address is confirmed. Sign in to begin.",
};
const COMPLAINTS = {
  "#link-expired": "The link in that email has expired. Sign up again to get a new one.",
  "#link-used": "The link in that email is no longer valid: it was already used, or a newer link was sent.",
};
const REASONS = {
  INVALID_CREDENTIALS: "Sign-in failed: there is no account here that belongs to your account at the provider.",
  INVALID_PROVIDER: "This server does not offer that way to sign in.",
  INVALID_TOKEN: "Signing in took too long, or was started in another window. Try again.",
  TOKEN_EXPIRED: "Signing in took too long. Try again.",
  INVALID_OTP: "This account requires a second factor: sign in with email and password.",
  SERVICE_UNAVAILABLE: "The sign-in provider does not respond. Try again in a moment.",
  USER_SUSPENDED: "Sign-in failed: this account cannot be used.",
};

export class Doorway {
  #project = {};
  #signIn;
  #signUp;
  #isOpen = false;
  #isKnown = false;

  /** `signIn({email, password, otp})` signs in, or rejects with an error to be explained. */
  constructor(signIn) {
    this.#signIn = new SignIn(signIn);
    this.#signUp = new SignUp({
      verifies: () => this.#project.public_registration_verify_email,
      signIn,
      sent: () => (location.hash = "#inbox"),
    });
    addEventListener("hashchange", () => this.#isOpen && this.#show());
  }

  /** Requests the available options, unless already known (`project`). Without an answer, the sign-in form is offered. */
  async learn(project) {
    const ofProject = project ?? askService().then((service) => service.project);
    const answers = await Promise.all([ofProject, rest("GET", "auth")]).catch(() => null);
    this.#isKnown = answers !== null;
    const [known, auth] = answers ?? [{}, { data: [] }];
    this.#project = known;
    find("signup-link").hidden = !this.#project.public_registration;
    const offers = auth.data.filter(({ name }) => name);
    find("providers").replaceChildren(...offers.map(button));
    find("providers").hidden = find("providers-or").hidden = offers.length === 0;
    for (const id of ["login-own", "login-submit", "forgot-link"]) find(id).hidden = Boolean(auth.disableDefault) && offers.length > 0;
    find("providers-or").hidden ||= find("login-own").hidden;
  }

  open(note) {
    this.#isOpen = true;
    // If the page was opened with a session, the options have not been requested yet.
    if (!this.#isKnown) void this.learn();
    const query = new URLSearchParams(location.search);
    const reason = query.get("reason");
    const complaint = COMPLAINTS[location.hash] ?? (reason && (REASONS[reason] ?? "The sign-in with the provider did not work. Try again."));
    this.#show(note ?? NOTES[location.hash]);
    if (complaint) this.#signIn.complain(complaint);
    query.delete("reason");
    // Reloading the page must not show it again.
    if (reason || NOTES[location.hash] || COMPLAINTS[location.hash]) history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
  }

  /** Closes the screens after sign-in, and restores the URL of the chat. */
  close() {
    this.#isOpen = false;
    if (location.hash || /[?&]reason=/.test(location.search)) history.replaceState(null, "", location.pathname);
    this.#signIn.show(false);
    this.#signUp.show(false);
  }

  #show(note) {
    const isOffered = this.#project.public_registration;
    const isSent = location.hash === "#inbox" && find("signup-address").textContent !== "";
    const isNew = location.hash === "#sign-up" && isOffered;
    this.#signIn.show(!isSent && !isNew, note);
    this.#signUp.show(isNew);
    find("signup-sent").hidden = !isSent;
    if (isSent) find("signup-sent-title").focus();
  }
}

/** A link to an identity provider that returns to this page. It has no icon, since that would have to be fetched. */
function button({ name, label }) {
  const link = document.createElement("a");
  link.className = "provider";
  link.dataset.testid = "provider";
  link.textContent = `Sign in with ${label || name}`;
  const back = new URL(location.pathname, location.origin);
  link.href = new URL(`auth/login/${encodeURIComponent(name)}?redirect=${encodeURIComponent(back)}`, document.baseURI);
  return link;
}
