// The attacks of `scripts/abuse` in their short form, with bounds on memory, disconnections, write-ahead log and erasure.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { BINARY } from '../lib/paths.mjs';
import { environment } from '../lib/server.mjs';

const SCRIPT = fileURLToPath(new URL('../../../scripts/abuse', import.meta.url));

test('the limits hold under the short form of all attacks', async () => {
	const output = [];
	const child = spawn('python3', [SCRIPT, '--short', '--binary', BINARY], { env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
	for (const stream of [child.stdout, child.stderr]) {
		stream.setEncoding('utf8').on('data', (text) => {
			output.push(text);
			process.stdout.write(text);
		});
	}
	const status = await new Promise((resolve) => child.once('close', resolve));
	const table = output.join('');
	assert.equal(status, 0, table);
	// All thirteen attacks ran.
	assert.equal(table.match(/\| holds \|$/gm)?.length, 13, table);
});
