// Guarantee D1 for deletions in several transactions: the real process is killed, and re-executed by SIGHUP, during the
// deletion of an account with many messages and the end of many sessions, and continues each time. Meanwhile a subscriber
// with `since` receives each message that loses its author exactly once.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Administrator } from '../lib/rest.mjs';
import { Server } from '../lib/server.mjs';
import { Socket } from '../lib/socket.mjs';
import { damage, sqlite } from '../lib/sqlite.mjs';
import { sleep, until } from '../lib/wait.mjs';

const MESSAGES = 30_000;
const SESSIONS = 5_000;
/** The program's batch size. */
const STEP = 1_000;

let server, administrator, author;
let failed = false;

before(async () => {
	server = await Server.start();
	administrator = await Administrator.signIn(server);
	author = await administrator.member('Author');
	await server.stop();
	fill();
	await server.launch();
	administrator = await Administrator.signIn(server);
});
afterEach((t) => {
	failed ||= t.passed === false;
});
after(() => server?.dispose(failed));

/** Writes messages and expired sessions of the author into the stopped server's database. */
function fill() {
	const numbers = (count) => `with recursive n (i) as (select 1 union all select i + 1 from n where i < ${count})`;
	sqlite(
		server.database,
		`insert into messages (id, user_created, date_created, content)
		 ${numbers(MESSAGES)} select i, '${author.id}', 1760000000000 + i, 'message ' || i from n`,
	);
	sqlite(
		server.database,
		`insert into directus_sessions (id, "user", mode, seed, generation, date_created, date_rotated, expires)
		 ${numbers(SESSIONS)} select printf('00000000-0000-4000-8000-%012d', i), '${author.id}', 'json', 'seed', 1, 1, 1, 2 from n`,
	);
}

const count = (sql) => sqlite(server.database, sql)[0][0];
const anonymous = () => count('select count(*) from messages where user_created is null');

/** Waits until a deletion is partly done. */
async function begun(least) {
	const some = () => anonymous() > least && anonymous() < MESSAGES;
	await until(some, 'some messages and not all to have lost their author', { ms: 20_000, every: 2 });
}

test('sessions that expired during downtime end in batches', async () => {
	await until(() => count('select count(*) from directus_sessions where expires < 10') === 0, 'them to end', { ms: 30_000 });
	const longest = count("select max(json_array_length(keys)) from event_log where collection = 'directus_sessions'");
	assert.ok(longest <= STEP, `${longest} sessions in one event`);
	assert.equal(count("select sum(json_array_length(keys)) from event_log where collection = 'directus_sessions' and action = 'delete'"), SESSIONS);
});

test('a deletion resumes after a kill and after SIGHUP, with one event per message', async () => {
	const since = count('select max(seq) from event_log');
	const deletion = administrator.call('DELETE', `/users/${author.id}`).catch((error) => error);
	await begun(0);
	await server.end('SIGKILL');
	await deletion;
	assert.deepEqual(damage(server.database), []);
	const [[status, token]] = sqlite(server.database, `select status, token from directus_users where id = '${author.id}'`);
	assert.deepEqual([status, token], ['archived', null], 'the first step ended all access');
	const left = anonymous();

	await server.launch();
	await begun(left);
	assert.equal((await author.rest.call('GET', '/users/me')).status, 401);
	await server.reexecute();
	const gone = async () => (await administrator.call('GET', `/users/${author.id}`)).status === 403;
	await until(gone, 'the account to be gone', { ms: 60_000, every: 50 });

	assert.equal(anonymous(), MESSAGES);
	assert.equal(count('select count(*) from chinwag_deletions'), 0);
	const events = sqlite(
		server.database,
		`select sum(json_array_length(keys)), count(distinct key.value), max(json_array_length(keys)) from event_log, json_each(keys) as key
		 where event_log.seq > ${since} and collection = 'messages' and action = 'update'`,
	)[0];
	assert.equal(events[1], MESSAGES, 'an event for each message');
	assert.ok(events[2] <= STEP);
	const told = sqlite(server.database, `select sum(json_array_length(keys)) from event_log where seq > ${since} and collection = 'messages' and action = 'update'`)[0][0];
	assert.equal(told, MESSAGES, 'no message loses its author twice');
});

test('a deletion is complete when it is acknowledged, and does not block other writers', async () => {
	const busy = await administrator.member('Busy');
	await server.stop();
	sqlite(server.database, `update messages set user_created = '${busy.id}'`);
	await server.launch();
	const socket = await Socket.open(server.origin, { access_token: (await Administrator.signIn(server)).token });
	socket.send({ type: 'subscribe', collection: 'messages', uid: 's', query: { fields: ['id', 'user_created'], limit: 1 } });
	await socket.take((frame) => frame.event === 'init', 'the subscription');
	const other = await administrator.member('Other');

	const since = count('select max(seq) from event_log');
	let answered = false;
	const deletion = administrator.data('DELETE', `/users/${busy.id}`).then(() => (answered = true));
	while (!answered) {
		await other.rest.post('meanwhile');
		await sleep(5);
	}
	await deletion;

	assert.equal(anonymous(), MESSAGES);
	const steps = `from event_log where seq > ${since} and collection = 'messages' and action = 'update'`;
	const between = count(`select count(*) from event_log where collection = 'messages' and action = 'create'
		and seq > (select min(seq) ${steps}) and seq < (select max(seq) ${steps})`);
	assert.ok(between >= MESSAGES / STEP / 2, `${between} creates between the steps`);
	const told = () => socket.frames.filter((frame) => frame.event === 'update').flatMap((frame) => frame.data);
	await until(() => told().length >= MESSAGES, 'each message to lose its author', { ms: 60_000, every: 50 });
	assert.ok(told().every((row) => row.user_created === null));
	assert.equal(new Set(told().map((row) => row.id)).size, MESSAGES);
	assert.equal(told().length, MESSAGES, 'no message loses its author twice');
	socket.close();
});
