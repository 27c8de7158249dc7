// Reproducible random numbers: tests print the seed, and SEED=… sets it.
export const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31);

/** Returns a generator of numbers from 0 to just under 1 (mulberry32). */
export function randomFrom(seed) {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let mixed = Math.imul(state ^ (state >>> 15), state | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
}
