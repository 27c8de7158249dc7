// Paths: the repository, the binary under test, and the folder for screenshots and logs of failed tests.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const SUITE = fileURLToPath(new URL('..', import.meta.url));
export const REPOSITORY = path.resolve(SUITE, '../..');
export const BINARY = path.resolve(process.env.CHINWAG_BIN ?? path.join(REPOSITORY, 'target/release/chinwag'));

/** A path below `artifacts/`, which git ignores. The folder is created on first use. */
export function artifact(name) {
	const folder = path.join(REPOSITORY, 'artifacts');
	mkdirSync(folder, { recursive: true });
	return path.join(folder, name.replace(/[^\w.-]+/g, '-'));
}
