// What the whole suite leaves behind for one check at its end: the log of every server and command, the errors that
// clients were answered, and every secret that was used. scripts/e2e names the folder (E2E_EVIDENCE) and runs the check,
// check_evidence.mjs; without it nothing is kept.
import { appendFileSync } from 'node:fs';
import path from 'node:path';

const FOLDER = process.env.E2E_EVIDENCE;
const FILE = path.basename(process.argv[1] ?? 'unknown', '.test.mjs');
/** Shorter ones are words, or numbers that occur by themselves. */
export const SECRET_LENGTH_MIN = 10;
/** What holds a secret, wherever it is in JSON. */
const SECRETS = new Set(['password', 'token', 'access_token', 'refresh_token', 'secret', 'tfa_secret', 'otp', 'recovery_codes', 'otpauth_url', 'SECRET', 'ADMIN_PASSWORD', 'EMAIL_SMTP_PASSWORD']);
const known = new Set();
let logs = 0;

/** Remembers a text that must be in no log and no error. `name` says what it is, to whoever reads the failure. */
export function keepSecret(name, text) {
	if (!FOLDER || typeof text !== 'string' || text.length < SECRET_LENGTH_MIN || known.has(text)) return;
	known.add(text);
	appendFileSync(path.join(FOLDER, `${FILE}-${process.pid}.secrets`), `${JSON.stringify([`${name}, ${FILE}`, text])}\n`);
}

/** Remembers every secret in what was sent or answered. */
export function keepSecretsOf(json, name) {
	if (!FOLDER || json === null) return;
	if (typeof json === 'string') {
		if (SECRETS.has(name)) keepSecret(name, json);
	} else if (typeof json === 'object') {
		for (const [key, value] of Object.entries(json)) keepSecretsOf(value, Array.isArray(json) ? name : key);
	}
}

/** The same of a text that may be JSON. */
export function keepSecretsOfText(text) {
	if (!FOLDER || !/token|password|secret|otp|recovery_codes/.test(text ?? '')) return;
	try {
		keepSecretsOf(JSON.parse(text));
	} catch {
		// Not JSON.
	}
}

/** Remembers what a `Set-Cookie` line keeps somebody signed in with. */
export function keepCookie(line) {
	keepSecret('a cookie', line.split(';')[0].split('=').slice(1).join('='));
}

/** A log of its own: gives a function that adds to it. */
export function newLog(name) {
	if (!FOLDER) return () => {};
	const file = path.join(FOLDER, `${FILE}-${process.pid}-${++logs}-${name}.log`);
	appendFileSync(file, '');
	return (text) => appendFileSync(file, text);
}

let errors;

/** Keeps an error as a client was answered it. */
export function keepError(text) {
	errors ??= newLog('errors');
	errors(`${text}\n`);
}
