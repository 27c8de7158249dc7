// Waiting for something to become true, under a deadline. Alarms end every wait early: a server that died, for example,
// makes the test fail at once and with its log, instead of after the deadline and without a reason.

const alarms = new Set();

/** Registers a function that throws when waiting has become pointless. Returns the function that takes it away. */
export function alarm(check) {
	alarms.add(check);
	return () => alarms.delete(check);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Calls `probe` until it gives something truthy, and returns that. An assertion that fails inside counts as "not yet";
 * at the deadline the last one is thrown, so that the failure says what was there instead.
 */
export async function until(probe, what, { ms = 10_000, every = 15 } = {}) {
	const deadline = Date.now() + ms;
	for (;;) {
		let failure;
		try {
			const found = await probe();
			if (found) return found;
		} catch (error) {
			if (error?.code !== 'ERR_ASSERTION') throw error;
			failure = error;
		}
		for (const check of alarms) check();
		if (Date.now() > deadline) {
			const reason = failure ? `: ${failure.message}` : '';
			throw new Error(`waited ${ms} ms for ${what}${reason}`);
		}
		await sleep(every);
	}
}

/** The promise's value, or an error naming what did not come in time. */
export async function within(promise, what, ms = 10_000) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
	});
	try {
		return await Promise.race([promise, late]);
	} finally {
		clearTimeout(timer);
	}
}
