// Requests with bodies that the server does not read: clients get every response, and their next request succeeds. Tested
// with the clients that failed: `fetch` with a streamed form, and a keep-alive agent.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { gzipSync, brotliCompressSync, deflateSync } from 'node:zlib';
import { Administrator } from '../lib/rest.mjs';
import { Server } from '../lib/server.mjs';
import { within } from '../lib/wait.mjs';

describe('unread request bodies', () => {
	let server;
	before(async () => {
		server = await Server.start({ demo: true });
	});
	after(async (t) => {
		await server?.dispose(t.passed === false);
	});

	const form = (bytes) => {
		const body = new FormData();
		body.append('file', new Blob(['x'.repeat(bytes)]), 'file.txt');
		return body;
	};

	for (const [what, path, headers, status] of [
		['an unknown path', '/files', {}, 404],
		['a token that is none', '/items/messages', { authorization: 'Bearer none' }, 401],
		['a method that is none', '/server/ping', {}, 404],
	]) {
		test(`a hundred uploads to ${what} are all answered`, async () => {
			for (let upload = 0; upload < 100; upload++) {
				const bytes = [30, 3_000, 60_000, 2_000_000][upload % 4];
				const response = await within(fetch(server.origin + path, { method: 'POST', headers, body: form(bytes) }), `upload ${upload}`);
				// Over the body limit, the size may be the reason for the refusal.
				assert.ok(response.status === status || (bytes > 1e6 && response.status === 413), `upload ${upload}: ${response.status}`);
				assert.ok((await response.json()).errors[0].message, `upload ${upload}`);
			}
		});
	}

	test('keep-alive connections survive short bodies, and no request fails', async () => {
		const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
		const ask = (method, path, body) =>
			new Promise((resolve, reject) => {
				// Node does not frame the body of a GET by default.
				const headers = { 'content-type': 'application/json', 'content-length': body.length };
				const request = http.request(server.origin + path, { method, agent, headers }, (response) => {
					response.resume().once('end', () => resolve({ status: response.statusCode, reused: request.reusedSocket }));
				});
				request.once('error', reject).end(body);
			});
		let reused = 0;
		for (let turn = 0; turn < 100; turn++) {
			for (const [method, path, status] of [['GET', '/', 200], ['GET', '/nowhere', 404], ['POST', '/files', 404], ['GET', '/websocket', 404]]) {
				const bytes = [30, 3_000, 60_000][turn % 3];
				const response = await within(ask(method, path, 'x'.repeat(bytes)), `${method} ${path}`);
				assert.equal(response.status, status, `${method} ${path} ${bytes}`);
				reused += response.reused ? 1 : 0;
			}
		}
		assert.equal(reused, 399, 'all requests but the first one came by the same connection');
		agent.destroy();
	});

	test('compressed bodies are decompressed', async () => {
		const admin = await Administrator.signIn(server);
		for (const [coding, compress] of [['gzip', gzipSync], ['deflate', deflateSync], ['br', brotliCompressSync]]) {
			const body = compress(JSON.stringify({ content: `hello, ${coding}` }));
			const headers = { 'content-type': 'application/json', 'content-encoding': coding, authorization: `Bearer ${admin.token}` };
			const response = await fetch(`${server.origin}/items/messages`, { method: 'POST', headers, body });
			assert.equal((await response.json()).data?.content, `hello, ${coding}`);
		}
	});
});
