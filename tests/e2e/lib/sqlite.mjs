// Looks into a database file with another program than the one under test: Python's own SQLite.
import { execFileSync } from 'node:child_process';

const SCRIPT = `
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
rows = connection.execute(sys.argv[2]).fetchall()
connection.commit()
print(json.dumps(rows))
`;

/** Runs one statement and gives its rows as lists. */
export function sqlite(file, statement) {
	return JSON.parse(execFileSync('python3', ['-c', SCRIPT, file, statement], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }));
}

/** What SQLite itself finds wrong with the file: an empty list if nothing. */
export function damage(file) {
	return sqlite(file, 'pragma integrity_check').map(([line]) => line).filter((line) => line !== 'ok');
}
