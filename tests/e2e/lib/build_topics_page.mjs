// Builds the page of the nuxt-ws example without Nuxt: compiles the single-file component, and adds Nuxt's automatic imports
// (`ref`, `useWS`).
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { compileScript, parse } from 'vue/compiler-sfc';
import { SUITE } from './paths.mjs';
import { freshDirectory } from './server.mjs';

const PAGE = path.join(SUITE, 'topics-page');
const AUTOMATIC_IMPORTS = `
import { ref } from 'vue';
import { useWS } from '../composables/ws';
`;

const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Chat</title>
<link rel="icon" href="data:,">
</head>
<body><div id="__nuxt"></div><script type="module" src="/app.js"></script></body>
</html>
`;

/** The tasks of Nuxt's bundler, as an esbuild plugin. `options` is an additional argument of the page's `useWS` call. */
function nuxt(options) {
	return {
		name: 'nuxt',
		setup(bundler) {
			bundler.onLoad({ filter: /\.vue$/ }, ({ path: file }) => {
				let source = readFileSync(file, 'utf8').replace('<script setup lang="ts">', `<script setup lang="ts">${AUTOMATIC_IMPORTS}`);
				if (options) source = source.replace("(['chat'])", `(['chat'], ${options})`);
				const { descriptor, errors } = parse(source, { filename: file });
				if (errors.length > 0) return { errors: errors.map(({ message }) => ({ text: message })) };
				const { content } = compileScript(descriptor, { id: path.basename(file), inlineTemplate: true });
				return { contents: content, loader: 'ts', resolveDir: path.dirname(file) };
			});
		},
	};
}

/** Returns the directory with the built page: the example's own, or one with other options for `useWS`. */
export async function buildTopicsPage(options) {
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
		plugins: [nuxt(options)],
	});
	writeFileSync(path.join(directory, 'index.html'), html);
	return directory;
}
