// Accesses a database file independently of the program under test, with Python's SQLite.
import { execFileSync } from 'node:child_process';

const SCRIPT = `
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
rows = connection.execute(sys.argv[2]).fetchall()
connection.commit()
print(json.dumps(rows))
`;

/** Runs one statement and returns its rows as lists. */
export function sqlite(file, statement) {
	return JSON.parse(execFileSync('python3', ['-c', SCRIPT, file, statement], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }));
}

/** The errors found by SQLite's integrity check: an empty list if there are none. */
export function damage(file) {
	return sqlite(file, 'pragma integrity_check').map(([line]) => line).filter((line) => line !== 'ok');
}
