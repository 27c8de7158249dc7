// The check at the end of the suite: no log of a server or command and no error contains a secret used by a test, or
// anything that looks like a token. `node check_evidence.mjs FOLDER` prints file and line of each finding, and exits with 1
// if there are any.
import { createReadStream, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SECRET_LENGTH_MIN } from './evidence.mjs';

/** A JWT, also from tests that record no secrets: header and payload are JSON objects. */
const TOKEN = /eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*/g;
/** With EMAIL_TRANSPORT=log the log is the inbox, and its first lines say so. */
const INBOX = 'EMAIL_TRANSPORT=log writes emails to this log';
const INBOX_LINE = /chinwag::mail::transport/;

/** Searches a folder. Returns `{ lines, secrets, findings }`, each finding with file, line and kind of secret. */
export async function check(folder) {
	const names = readdirSync(folder);
	const secrets = new Map();
	for (const name of names.filter((name) => name.endsWith('.secrets'))) {
		for (const line of readFileSync(path.join(folder, name), 'utf8').split('\n').filter(Boolean)) {
			const [what, text] = JSON.parse(line);
			for (const spelt of [text, encodeURIComponent(text), JSON.stringify(text).slice(1, -1)]) secrets.set(spelt, what);
		}
	}
	const index = new Map();
	for (const text of secrets.keys()) {
		const head = text.slice(0, SECRET_LENGTH_MIN);
		index.set(head, [...(index.get(head) ?? []), text]);
	}
	const result = { lines: 0, secrets: secrets.size, findings: [] };
	for (const name of names.filter((name) => name.endsWith('.log'))) {
		let number = 0;
		let isInbox = false;
		for await (const line of createInterface({ input: createReadStream(path.join(folder, name)), crlfDelay: Infinity })) {
			number += 1;
			result.lines += 1;
			isInbox ||= line.includes(INBOX);
			if (isInbox && INBOX_LINE.test(line)) continue;
			const found = new Set([...line.matchAll(TOKEN)].map(() => 'a token'));
			for (let at = 0; at + SECRET_LENGTH_MIN <= line.length; at++) {
				for (const text of index.get(line.slice(at, at + SECRET_LENGTH_MIN)) ?? []) if (line.startsWith(text, at)) found.add(secrets.get(text));
			}
			for (const what of found) result.findings.push({ file: name, line: number, what, text: line.slice(0, 300) });
		}
	}
	return result;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const { lines, secrets, findings } = await check(process.argv[2]);
	for (const { file, line, what, text } of findings) console.error(`${path.join(process.argv[2], file)}:${line}: ${what} is in it: ${text}`);
	if (findings.length > 0) {
		console.error(`✖ secrets in logs or errors: ${findings.length}`);
		process.exitCode = 1;
	} else {
		console.log(`✔ none of ${secrets} secrets is in ${lines} lines of logs and errors`);
	}
}
