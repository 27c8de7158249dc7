// Custom permissions set up with the real SDK, as in Directus's own suites: accounts, roles and policies created with their
// related items, objects sent back as they were read, and the permissions of single items.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import {
	createDirectus, createItem, createPermission, createPolicy, createRole, createUser, readItemPermissions, readItems, readPolicy,
	readRole, readUser, readUsers, rest, staticToken, updatePolicy, updateRole, updateRolesBatch, updateUser, updateUsersBatch,
} from 'sdk-26';
import { keepSecret } from '../lib/evidence.mjs';
import { Administrator } from '../lib/rest.mjs';
import { Server } from '../lib/server.mjs';

let server, admin;

function client(token) {
	keepSecret('a static token', token);
	return createDirectus(server.origin).with(staticToken(token)).with(rest());
}

/** Creates an account with its own policy, in one request. */
async function scoped(actions) {
	const [token, password] = [randomUUID(), `password ${randomUUID()}`];
	keepSecret('a password', password);
	const permissions = actions.map((action) => ({ action, collection: 'messages', fields: ['*'], permissions: {}, validation: {}, presets: {} }));
	const user = await admin.request(createUser({
		email: `${randomUUID()}@example.com`, password, token,
		policies: [{ policy: { name: 'Scoped', admin_access: false, app_access: false, permissions } }],
	}, { fields: ['*', { policies: ['*'] }] }));
	return { user, as: client(token) };
}

before(async () => {
	server = await Server.start();
	const token = randomUUID();
	await (await Administrator.signIn(server)).data('PATCH', '/users/me', { token });
	admin = client(token);
});
after(() => server?.stop());

test('readItemPermissions reflects the permissions of the account', async () => {
	const item = await admin.request(createItem('messages', { content: 'Train' }));
	const none = { update: { access: false }, delete: { access: false }, share: { access: false } };
	const all = { update: { access: true }, delete: { access: true }, share: { access: true } };
	const { user, as } = await scoped(['read']);

	assert.deepEqual(await admin.request(readItemPermissions('messages', item.id)), all);
	assert.deepEqual(await as.request(readItemPermissions('messages', item.id)), none);
	await admin.request(createPermission({ policy: user.policies[0].policy, action: 'update', collection: 'messages', fields: ['*'] }));
	assert.deepEqual(await as.request(readItemPermissions('messages', item.id)), { ...none, update: { access: true } });
	await admin.request(createPermission({ policy: user.policies[0].policy, action: 'update', collection: 'directus_settings', fields: ['project_name'] }));
	assert.deepEqual(await as.request(readItemPermissions('directus_settings')), { ...none, update: { access: true, fields: ['project_name'], presets: {} } });
	await assert.rejects(createDirectus(server.origin).with(rest()).request(readItemPermissions('messages', item.id)), (e) => e.response.status === 403);
});

test('an account created with its own policy has exactly its permissions', async () => {
	const { as } = await scoped(['create', 'read']);

	await as.request(createItem('messages', { content: 'by a policy of my own' }));
	const found = await as.request(readItems('messages', { filter: { content: { _eq: 'by a policy of my own' } } }));
	assert.equal(found.length, 1);
	await assert.rejects(as.request(readUsers()), (e) => e.response.status === 403);
});

test('roles and policies are created and updated with related items', async () => {
	const address = () => `${randomUUID()}@example.com`;
	const role = await admin.request(createRole({ name: 'Team', users: [{ email: address() }, { email: address() }], children: [{ name: 'Below' }], policies: [{ policy: { name: 'Given' } }] }));
	assert.deepEqual([role.users.length, role.children.length, role.policies.length], [2, 1, 1]);

	const policy = await admin.request(createPolicy({ name: 'Readers', permissions: [{ collection: 'messages', action: 'read', fields: ['*'] }], roles: [{ role: role.id }] }));
	const changed = await admin.request(updatePolicy(policy.id, {
		permissions: { create: [{ collection: 'messages', action: 'create', fields: ['*'] }], update: [], delete: [policy.permissions[0]] },
	}, { fields: ['*', { permissions: ['action'] }] }));
	assert.deepEqual(changed.permissions, [{ action: 'create' }]);

	const user = await admin.request(updateUser(role.users[0], { role: { id: role.id, name: 'Renamed' } }, { fields: [{ role: ['name'] }] }));
	assert.deepEqual(user, { role: { name: 'Renamed' } });
	const fewer = await admin.request(updateRole(role.id, { users: [role.users[1]] }));
	assert.deepEqual(fewer.users, [role.users[1]]);
});

test('an item can be sent back as it was read', async () => {
	const { user } = await scoped(['read']);
	const role = await admin.request(createRole({ name: 'Back', users: [user.id], policies: [{ policy: { name: 'Back' } }] }));
	for (const fields of [['*'], ['*.*']]) {
		const [aUser, aRole] = [await admin.request(readUser(user.id, { fields })), await admin.request(readRole(role.id, { fields }))];
		const aPolicy = await admin.request(readPolicy(user.policies[0].policy, { fields }));
		assert.deepEqual(await admin.request(updateUser(user.id, aUser, { fields })), aUser);
		assert.deepEqual(await admin.request(updateRole(role.id, aRole, { fields })), aRole);
		assert.deepEqual(await admin.request(updatePolicy(aPolicy.id, aPolicy, { fields })), aPolicy);
		assert.deepEqual(await admin.request(updateUsersBatch([aUser], { fields })), [aUser]);
		assert.deepEqual(await admin.request(updateRolesBatch([aRole], { fields })), [aRole]);
	}
});
