// The screens before sign-in: the forms to sign in and to sign up, and the buttons of identity providers. The URL fragment
// selects the screen; the server is asked once for its options. Contains no chat.

import { rest } from "./rest.js";
import { fetchServerInfo } from "./server-info.js";
import { SignIn } from "./signin.js";
import { SignUp } from "./signup.js";

const byId = (id) => document.getElementById(id);

// Results of links to this page: those in emails use the fragment, identity providers the query parameter `reason`.
const NOTES = {
  "#confirmed": "Your address is confirmed. Sign in to begin.",
};
const LINK_ERRORS = {
  "#link-expired": "The link in that email has expired. Sign up again to get a new one.",
  "#link-used": "The link in that email is no longer valid: it was already used, or a newer link was sent.",
};
const PROVIDER_ERRORS = {
  INVALID_CREDENTIALS: "Sign-in failed: there is no account here that belongs to your account at the provider.",
  INVALID_PROVIDER: "This server does not offer that way to sign in.",
  INVALID_TOKEN: "Signing in took too long, or was started in another window. Try again.",
  TOKEN_EXPIRED: "Signing in took too long. Try again.",
  INVALID_OTP: "This account requires a second factor: sign in with email and password.",
  SERVICE_UNAVAILABLE: "The sign-in provider does not respond. Try again in a moment.",
  USER_SUSPENDED: "Sign-in failed: this account cannot be used.",
};

export class AuthView {
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
  async loadOptions(project) {
    const projectInfo = project ?? fetchServerInfo().then((info) => info.project);
    const responses = await Promise.all([projectInfo, rest("GET", "auth")]).catch(() => null);
    this.#isKnown = responses !== null;
    const [known, auth] = responses ?? [{}, { data: [] }];
    this.#project = known;
    byId("signup-link").hidden = !this.#project.public_registration;
    const providers = auth.data.filter(({ name }) => name);
    byId("providers").replaceChildren(...providers.map(button));
    byId("providers").hidden = byId("providers-or").hidden = providers.length === 0;
    for (const id of ["login-own", "login-submit", "forgot-link"]) byId(id).hidden = Boolean(auth.disableDefault) && providers.length > 0;
    byId("providers-or").hidden ||= byId("login-own").hidden;
  }

  open(note) {
    this.#isOpen = true;
    // If the page was opened with a session, the options have not been requested yet.
    if (!this.#isKnown) void this.loadOptions();
    const query = new URLSearchParams(location.search);
    const reason = query.get("reason");
    const problem = LINK_ERRORS[location.hash] ?? (reason && (PROVIDER_ERRORS[reason] ?? "The sign-in with the provider did not work. Try again."));
    this.#show(note ?? NOTES[location.hash]);
    if (problem) this.#signIn.showError(problem);
    query.delete("reason");
    // Reloading the page must not show it again.
    if (reason || NOTES[location.hash] || LINK_ERRORS[location.hash]) history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
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
    const isMailSent = location.hash === "#inbox" && byId("signup-address").textContent !== "";
    const isNew = location.hash === "#sign-up" && isOffered;
    this.#signIn.show(!isMailSent && !isNew, note);
    this.#signUp.show(isNew);
    byId("signup-sent").hidden = !isMailSent;
    if (isMailSent) byId("signup-sent-title").focus();
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
