// Waiting for a condition with a deadline. Alarms end every wait early: a crashed server, for example, fails the test at
// once and with its log, instead of at the deadline and without a reason.

const alarms = new Set();

/** Registers a function that throws once waiting is pointless. Returns the function that unregisters it. */
export function alarm(check) {
	alarms.add(check);
	return () => alarms.delete(check);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Calls `probe` until it returns a truthy value, and returns that. A failed assertion inside counts as "not yet". After the
 * deadline, the error includes the last one, to show the actual state.
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

/** The promise's value, or an error that names the missing event after `ms`. */
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
