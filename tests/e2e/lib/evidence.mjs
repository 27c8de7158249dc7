// Evidence of the whole suite for the check at its end: the log of every server and command, all error responses, and every
// secret used. scripts/e2e sets the folder (E2E_EVIDENCE) and runs the check, check_evidence.mjs; without the folder,
// nothing is recorded.
import { appendFileSync } from 'node:fs';
import path from 'node:path';

const FOLDER = process.env.E2E_EVIDENCE;
const FILE = path.basename(process.argv[1] ?? 'unknown', '.test.mjs');
/** Shorter secrets are words, or numbers that also occur elsewhere. */
export const SECRET_LENGTH_MIN = 10;
/** The names of secret values in JSON, at any depth. */
const SECRETS = new Set(['password', 'token', 'access_token', 'refresh_token', 'secret', 'tfa_secret', 'otp', 'recovery_codes', 'otpauth_url', 'SECRET', 'ADMIN_PASSWORD', 'EMAIL_SMTP_PASSWORD']);
const known = new Set();
let logs = 0;

/** Records a text that no log and no error may contain. `name` describes it in the failure report. */
export function keepSecret(name, text) {
	if (!FOLDER || typeof text !== 'string' || text.length < SECRET_LENGTH_MIN || known.has(text)) return;
	known.add(text);
	appendFileSync(path.join(FOLDER, `${FILE}-${process.pid}.secrets`), `${JSON.stringify([`${name}, ${FILE}`, text])}\n`);
}

/** Records every secret in a request or response. */
export function keepSecretsOf(json, name) {
	if (!FOLDER || json === null) return;
	if (typeof json === 'string') {
		if (SECRETS.has(name)) keepSecret(name, json);
	} else if (typeof json === 'object') {
		for (const [key, value] of Object.entries(json)) keepSecretsOf(value, Array.isArray(json) ? name : key);
	}
}

/** The same for a text that may be JSON. */
export function keepSecretsOfText(text) {
	if (!FOLDER || !/token|password|secret|otp|recovery_codes/.test(text ?? '')) return;
	try {
		keepSecretsOf(JSON.parse(text));
	} catch {
		// Not JSON.
	}
}

/** Records the value of a cookie from a `Set-Cookie` line. */
export function keepCookie(line) {
	keepSecret('a cookie', line.split(';')[0].split('=').slice(1).join('='));
}

/** Creates a separate log and returns a function that appends to it. */
export function newLog(name) {
	if (!FOLDER) return () => {};
	const file = path.join(FOLDER, `${FILE}-${process.pid}-${++logs}-${name}.log`);
	appendFileSync(file, '');
	return (text) => appendFileSync(file, text);
}

let errors;

/** Records an error response. */
export function keepError(text) {
	errors ??= newLog('errors');
	errors(`${text}\n`);
}
