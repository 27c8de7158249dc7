// The page that links in mails lead to: choosing a password, after an invitation or because the old one was forgotten.
// The token is taken out of the address at once, so that neither the history nor a later page has it.
const invited = location.pathname.replace(/\/$/, '').endsWith('/accept-invite');
const token = new URLSearchParams(location.search).get('token') ?? '';
history.replaceState(null, '', location.pathname);

const element = (id) => document.getElementById(id);
const [form, password, again, error, submit] = ['form', 'password', 'again', 'error', 'submit'].map(element);
if (invited) element('title').textContent = 'Welcome! Choose a password';

/** What a refusal means to somebody who reads mail. */
function explain(refusal) {
	const code = refusal?.extensions?.code;
	if (code === 'TOKEN_EXPIRED') return 'This link has expired. Ask for another one.';
	if (code === 'INVALID_TOKEN' || code === 'FORBIDDEN') return 'This link is not good any more: it was used already, or a newer one was sent.';
	if (code === 'FAILED_VALIDATION') return refusal.message.replace(/^.*?"password"\. ?/, '') || 'This password does not fit what is asked for here.';
	return refusal?.message ?? 'That did not work. Try again in a moment.';
}

async function send() {
	const path = invited ? '../users/invite/accept' : '../auth/password/reset';
	const body = JSON.stringify({ token, password: password.value });
	const answer = await fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
	if (answer.ok) return;
	const refused = await answer.json().catch(() => null);
	throw new Error(explain(refused?.errors?.[0]));
}

form.addEventListener('submit', async (event) => {
	event.preventDefault();
	error.textContent = '';
	if (password.value !== again.value) {
		error.textContent = 'The two are not the same.';
		again.focus();
		return;
	}
	submit.disabled = true;
	try {
		await send();
		form.hidden = true;
		element('done').hidden = false;
		element('done').querySelector('a').focus();
	} catch (failure) {
		error.textContent = failure instanceof TypeError ? 'The server does not answer. Try again in a moment.' : failure.message;
	} finally {
		submit.disabled = false;
	}
});
password.focus();
if (!token) error.textContent = 'This address has no token in it. Open the link in the mail again.';
