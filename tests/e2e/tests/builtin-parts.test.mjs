// Parts of the built-in page that need no browser: the QR code, read by an independent decoder; the wait time requested by a
// server; display names of browsers.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import jsqr from 'jsqr';
import { nameOf } from '../../../web/devices.js';
import { qrModules } from '../../../web/qr.js';
import { rest } from '../../../web/rest.js';
import { clock, duration, errorText } from '../../../web/strings.js';

const QUIET = 4;
const SCALE = 4;

/** Draws modules as pixels, and returns the decoded text. */
function read(modules) {
	const size = (modules.length + 2 * QUIET) * SCALE;
	const pixels = new Uint8ClampedArray(size * size * 4).fill(255);
	const isDark = (at) => Math.floor(at / SCALE) - QUIET;
	for (let y = 0; y < size; y++) {
		for (let x = 0; x < size; x++) if (modules[isDark(y)]?.[isDark(x)]) pixels.fill(0, (y * size + x) * 4, (y * size + x) * 4 + 3);
	}
	return jsqr(pixels, size, size)?.data;
}

describe('a QR code', () => {
	test('decodes to its text at every length', () => {
		const text = (length) => Array.from({ length }, (_, index) => String.fromCharCode(33 + ((index * 7919 + length * 31) % 90))).join('');
		for (let length = 1; length <= 858; length += length < 260 ? 3 : 23) assert.equal(read(qrModules(text(length))), text(length), `${length} characters`);
		assert.equal(read(qrModules(text(858))), text(858));
		assert.equal(qrModules(text(859)), null, 'there is none for what does not fit');
	});

	test('has the smallest sufficient size', () => {
		for (const [length, size] of [[1, 21], [17, 21], [18, 25], [32, 25], [230, 53], [231, 57], [858, 97]]) assert.equal(qrModules('x'.repeat(length)).length, size, `${length} bytes`);
	});

	test('encodes characters of every script', () => {
		for (const text of ['otpauth://totp/Grüße%20&%20Co:alice%40example.com?secret=GEZDGNBV&issuer=x', 'Größe', '漢字']) assert.equal(read(qrModules(text)), text);
	});
});

describe('an error response', () => {
	const { fetch } = globalThis;
	afterEach(() => (globalThis.fetch = fetch));
	const refused = async (status, headers, error) => {
		globalThis.fetch = async () => new Response(JSON.stringify({ errors: [error] }), { status, headers });
		return rest('GET', 'x', undefined, 'http://127.0.0.1/').then(assert.fail, (refusal) => refusal);
	};

	test('has its wait time in seconds or as a date', async () => {
		const error = { message: 'x', extensions: { code: 'REQUESTS_EXCEEDED' } };
		const wait = async (value) => (await refused(429, value === undefined ? {} : { 'Retry-After': value }, error)).waitSeconds;
		assert.equal(await wait('90'), 90);
		const inAMinute = await wait(new Date(Date.now() + 60_000).toUTCString());
		assert.ok(inAMinute > 50 && inAMinute <= 60, `${inAMinute} seconds`);
		for (const nothing of [undefined, '0', '-5', 'soon', new Date(Date.now() - 60_000).toUTCString()]) assert.equal(await wait(nothing), 0, nothing);
	});

	test('becomes a sentence and never a code', async () => {
		const said = async (status, headers, code, extensions = {}) => errorText(await refused(status, headers, { message: 'In the words of the server.', extensions: { code, ...extensions } }));
		assert.equal(await said(429, { 'Retry-After': '125' }, 'REQUESTS_EXCEEDED'), 'Too many attempts. Try again in 3 minutes.');
		assert.equal(await said(429, {}, 'REQUESTS_EXCEEDED'), 'That was a little fast. Wait a moment, then try again.');
		assert.equal(await said(503, { 'Retry-After': '1' }, 'SERVICE_UNAVAILABLE'), 'The server is busy. Try again in 1 second.');
		assert.equal(await said(401, {}, 'INVALID_CREDENTIALS'), 'Email or password is wrong.');
		assert.equal(await said(400, {}, 'FAILED_VALIDATION', { field: 'password', type: 'regex' }), 'This password does not meet the rules of this server. Make it longer, or add capital letters, digits and symbols.');
		assert.equal(await said(400, {}, 'FAILED_VALIDATION', { field: 'first_name', type: 'max_length' }), 'In the words of the server.');
		assert.equal(await said(500, {}, 'INTERNAL_SERVER_ERROR'), 'Something went wrong on the server. Try again in a moment.');
	});

	test('shows its wait time in readable units', () => {
		assert.deepEqual([1, 90, 91, 5400, 5401].map(duration), ['1 second', '90 seconds', '2 minutes', '90 minutes', '2 hours']);
		assert.deepEqual([5, 60, 119].map(clock), ['0:05', '1:00', '1:59']);
	});
});

test('a browser is shown by its common name', () => {
	const chrome = 'AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';
	for (const [userAgent, name] of [
		[`Mozilla/5.0 (X11; Linux x86_64) ${chrome}`, 'Chrome on Linux'],
		[`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${chrome} Edg/140.0.0.0`, 'Edge on Windows'],
		[`Mozilla/5.0 (Linux; Android 15) ${chrome.replace('Safari', 'Mobile Safari')}`, 'Chrome on Android'],
		['Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0', 'Firefox on macOS'],
		['Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1', 'Safari on iOS'],
		['curl/8.14.1', 'curl/8.14.1'],
		['x'.repeat(255), 'x'.repeat(60)],
		[null, 'An unknown client'],
	]) {
		assert.equal(nameOf(userAgent), name);
	}
});
