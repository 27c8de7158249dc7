// The checker of the recovery test must detect errors: each kind of contradiction, caused deliberately.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Delivery } from '../lib/delivery.mjs';

const rows = [{ id: 1, content: 'a' }, { id: 2, content: 'b' }, { id: 3, content: 'c' }];
const kinds = (delivery) => Object.entries(delivery.verify(rows)).filter(([, list]) => list.length > 0).map(([kind]) => kind);

/** A subscriber that received these rows and then reconnected. */
function told(ids, options) {
	const delivery = new Delivery('one', options);
	delivery.connected();
	delivery.began(false);
	for (const id of ids) delivery.tell(rows[id - 1], false);
	delivery.connected();
	delivery.began(true);
	return delivery;
}

test('complete delivery and marked replays have no contradictions', () => {
	assert.deepEqual(kinds(told([1, 2, 3])), []);
	const again = told([1, 2, 3], { keepsCursor: false });
	again.tell(rows[2], true);
	assert.deepEqual(kinds(again), []);
	assert.deepEqual(kinds(told([1, 3], { wants: (content) => content !== 'b' })), []);
});

test('each contradiction is detected with its kind', () => {
	assert.deepEqual(kinds(told([1, 3])), ['missed']);
	assert.deepEqual(kinds(told([1, 2])), ['missed']);
	assert.deepEqual(kinds(told([2, 1, 3])), ['disorder']);

	const phantom = told([1, 2, 3]);
	phantom.tell({ id: 4, content: 'd' }, false);
	assert.deepEqual(kinds(phantom), ['phantoms']);
	const other = told([1, 2]);
	other.tell({ id: 3, content: 'not c' }, false);
	assert.deepEqual(kinds(other), ['phantoms']);

	const again = told([1, 2, 3]);
	again.tell(rows[2], true);
	assert.deepEqual(kinds(again), ['again']);
	const unmarked = told([1, 2, 3], { keepsCursor: false });
	unmarked.tell(rows[2], false);
	assert.deepEqual(kinds(unmarked), ['unmarked']);

	const backwards = told([1, 2, 3], { keepsCursor: false });
	backwards.tell(rows[2], true);
	backwards.tell(rows[1], true);
	assert.deepEqual(kinds(backwards), ['disorder']);

	const lost = told([1, 2, 3]);
	lost.began(false);
	assert.deepEqual(kinds(lost), ['unrecovered']);
});
