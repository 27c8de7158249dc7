// The memory of password hashing, the largest of any single request: it is released afterwards.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { Administrator } from '../lib/rest.mjs';
import { Server } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const KIB = 1024;
const MIB = 1024 * KIB;
/** The memory of one hash: far more than the rest of the server uses. */
const HASH = 192 * MIB;

let server;
let failed = false;

before(async () => {
	server = await Server.start({ env: { HASH_MEMORY_COST: `${HASH / KIB}`, HASH_TIME_COST: '1' } });
});
afterEach((t) => {
	failed ||= t.passed === false;
});
after(() => server?.dispose(failed));

/** The server's memory excluding mapped files. */
function anonymousBytes() {
	return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]) * KIB;
}

test('the memory of password hashes is released', async () => {
	// Startup hashed the administrator's password.
	await until(() => anonymousBytes() < HASH / 2, 'the memory of the hash of the start');

	await Promise.all([1, 2, 3].map(() => Administrator.signIn(server)));
	assert.ok(anonymousBytes() > HASH / 2, 'a hash takes memory');
	await until(() => anonymousBytes() < HASH / 2, 'the memory of the hashes of sign-ins');
});
