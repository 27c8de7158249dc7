//! Checks the limit of the process's address space.
//!
//! If it is too low, allocations fail in the middle of startup, and the process cannot report why.

use rustix::process::Resource;
use rustix::process::getrlimit;

use crate::app::StartError;

/// Bytes that startup needs: the stacks of all threads and the memory maps of the database and the
/// allocator. Only a small part of it becomes resident memory.
const NEEDED: u64 = 512 << 20;

/// Checks that the address space suffices for startup.
///
/// # Errors
/// [`StartError::AddressSpace`] if it does not.
pub fn require() -> Result<(), StartError> {
    require_of(getrlimit(Resource::As).current)
}

const fn require_of(limit: Option<u64>) -> Result<(), StartError> {
    match limit {
        Some(limit) if limit < NEEDED => {
            Err(StartError::AddressSpace { limit: limit >> 20, needed: NEEDED >> 20 })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_address_space_is_reported_with_the_limit() {
        assert!(require_of(None).is_ok());
        assert!(require_of(Some(NEEDED)).is_ok());

        let refused = require_of(Some(128 << 20)).unwrap_err();
        assert_eq!(
            refused.line(),
            "the address space is limited to 128 MiB (ulimit -v), and 512 MiB are needed"
        );
        assert_eq!(refused.status(), 1);
    }
}
