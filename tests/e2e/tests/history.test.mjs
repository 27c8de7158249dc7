// The checker of the durability test must detect errors: each kind of contradiction, caused deliberately.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { History } from '../lib/history.mjs';

const kinds = (found) => Object.entries(found).filter(([, list]) => list.length > 0).map(([kind]) => kind);

/** Three acknowledged messages, received by one subscriber. */
function peaceful() {
	const history = new History();
	for (const [content, id] of [['a', 1], ['b', 2], ['c', 4]]) {
		history.send(content);
		history.acknowledge(content, id);
		history.show('s', { id, content });
	}
	return history;
}
const rows = [{ id: 1, content: 'a' }, { id: 2, content: 'b' }, { id: 4, content: 'c' }];

test('a correct run has no contradictions, with any outcome of unacknowledged messages', () => {
	const history = peaceful();
	history.send('unknown and stored');
	history.send('unknown and not stored');

	assert.deepEqual(kinds(history.verify([...rows, { id: 5, content: 'unknown and stored' }])), []);
	assert.equal(history.unknown, 2);
});

test('each contradiction is detected with its kind', () => {
	assert.deepEqual(kinds(peaceful().verify(rows.slice(1))), ['lost', 'phantoms']);
	assert.deepEqual(kinds(peaceful().verify([...rows, { id: 5, content: 'c' }])), ['twice']);
	assert.deepEqual(kinds(peaceful().verify([...rows, { id: 5, content: 'nobody sent this' }])), ['invented']);

	const refused = peaceful();
	refused.send('d');
	refused.refuse('d');
	assert.deepEqual(kinds(refused.verify([...rows, { id: 5, content: 'd' }])), ['invented']);

	const late = peaceful();
	late.send('d');
	late.acknowledge('d', 3);
	assert.deepEqual(kinds(late.verify([...rows, { id: 3, content: 'd' }])), ['outOfOrder', 'gaps']);

	const shown = peaceful();
	shown.show('s', { id: 2, content: 'b' });
	assert.deepEqual(kinds(shown.verify(rows)), ['disorder']);
	const gap = peaceful();
	gap.send('d');
	gap.acknowledge('d', 5);
	gap.send('e');
	gap.acknowledge('e', 6);
	gap.show('s', { id: 6, content: 'e' });
	assert.deepEqual(kinds(gap.verify([...rows, { id: 5, content: 'd' }, { id: 6, content: 'e' }])), ['gaps']);
	const phantom = peaceful();
	phantom.show('other', { id: 9, content: 'z' });
	assert.deepEqual(kinds(phantom.verify(rows)), ['phantoms']);
});
