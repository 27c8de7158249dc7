// Builds the tutorial's page with one version of the SDK and without Nuxt: compiles the single-file component, and adds
// Nuxt's automatic imports (`ref`, `onMounted`, `useNuxtApp`, …).
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { compileScript, parse } from 'vue/compiler-sfc';
import { SUITE } from './paths.mjs';
import { freshDirectory } from './server.mjs';

const PAGE = path.join(SUITE, 'page');
const AUTOMATIC_IMPORTS = `
import { ref, onMounted, onBeforeUnmount, type Ref } from 'vue';
import { useNuxtApp, defineNuxtPlugin } from '@nuxt';
`;

const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Directus Realtime Chat</title>
<link rel="icon" href="data:,">
</head>
<body><div id="__nuxt"></div><script type="module" src="/app.js"></script></body>
</html>
`;

/** The tasks of Nuxt's bundler, as an esbuild plugin. `bend` applies a developer's change to the page. */
function nuxt(sdk, bend) {
	return {
		name: 'nuxt',
		setup(bundler) {
			bundler.onResolve({ filter: /^@directus\/sdk$/ }, ({ resolveDir }) => bundler.resolve(sdk, { resolveDir, kind: 'import-statement' }));
			bundler.onResolve({ filter: /^@nuxt$/ }, () => ({ path: path.join(PAGE, 'nuxt.ts') }));
			bundler.onLoad({ filter: /\.vue$/ }, ({ path: file }) => {
				const source = bend(readFileSync(file, 'utf8')).replace('<script setup lang="ts">', `<script setup lang="ts">${AUTOMATIC_IMPORTS}`);
				const { descriptor, errors } = parse(source, { filename: file });
				if (errors.length > 0) return { errors: errors.map(({ message }) => ({ text: message })) };
				const { content } = compileScript(descriptor, { id: path.basename(file), inlineTemplate: true });
				return { contents: content, loader: 'ts', resolveDir: path.dirname(file) };
			});
			bundler.onLoad({ filter: /plugins\/directus\.ts$/ }, ({ path: file }) => {
				// "replace the `your-website-url` with your Nuxt URL and port": here only the browser knows them.
				const source = readFileSync(file, 'utf8').replace('"http://your-website-url/directus"', '`http://${location.host}/directus`');
				return { contents: AUTOMATIC_IMPORTS + source, loader: 'ts', resolveDir: path.dirname(file) };
			});
		},
	};
}

/** The page with a named subscription, so that it receives missed events: one line more than in the tutorial. */
export function withRecover(source) {
	const uid = 'uid: "messages-subscription"';
	assert.ok(source.includes(uid) || !source.includes('$directus.subscribe'), 'the page subscribes as it did');
	return source.replace(uid, `${uid},\n\t\trecover: crypto.randomUUID()`);
}

/** Returns the directory with the built page. `sdk` is the alias of an installed version: `sdk-26`, `sdk-21`. */
export async function buildPage(sdk, bend = (source) => source) {
	const directory = path.join(freshDirectory(), 'dist');
	mkdirSync(directory);
	await build({
		entryPoints: [path.join(PAGE, 'main.ts')],
		outfile: path.join(directory, 'app.js'),
		bundle: true,
		format: 'esm',
		platform: 'browser',
		logLevel: 'silent',
		define: { __VUE_OPTIONS_API__: 'true', __VUE_PROD_DEVTOOLS__: 'false', __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false', 'process.env.NODE_ENV': '"production"' },
		plugins: [nuxt(sdk, bend)],
	});
	writeFileSync(path.join(directory, 'index.html'), html);
	return directory;
}
