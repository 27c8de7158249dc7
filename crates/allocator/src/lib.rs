//! Sets how long mimalloc keeps freed memory before it returns it to the system.
//!
//! Its default is a second. In that time, clients that send large bodies in turn let freed blocks
//! of all sizes pile up, many times the memory in use. The option can be set by an environment
//! variable, but only before the process starts; setting it in code is an unsafe call, hence this
//! crate.

use std::ffi::c_int;
use std::ffi::c_long;
use std::sync::Once;

use libmimalloc_sys::mi_option_set;

/// `mi_option_purge_delay` of `mimalloc.h`, which the bindings do not name.
const PURGE_DELAY: c_int = 15;

/// Sets the number of milliseconds after which freed memory is returned to the system. Only the
/// first call in a process has an effect. It belongs to the start of the program: threads that
/// free memory meanwhile may see either delay.
pub fn return_freed_memory_after(millis: u16) {
    static SET: Once = Once::new();
    SET.call_once(|| {
        // SAFETY: the option exists, any value of it is valid, and no other code of this process
        // sets options. It is one aligned integer.
        unsafe { mi_option_set(PURGE_DELAY, c_long::from(millis)) };
    });
}

#[cfg(test)]
mod tests {
    use libmimalloc_sys::mi_option_get;

    use super::*;

    /// The option is set by number, so its number is checked by its default: no other option is a
    /// delay of a second.
    #[test]
    fn the_option_is_the_delay() {
        let delay = || {
            // SAFETY: the option exists.
            unsafe { mi_option_get(PURGE_DELAY) }
        };
        assert_eq!(delay(), 1000);

        return_freed_memory_after(50);
        return_freed_memory_after(70);

        assert_eq!(delay(), 50);
    }
}
