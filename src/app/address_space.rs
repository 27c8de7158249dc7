//! How much address space the process may have.
//!
//! Where it is too little, allocations fail in the middle of the start, and the process can say no more
//! about it.

use rustix::process::Resource;
use rustix::process::getrlimit;

use crate::app::StartError;

/// How many bytes a start needs: the stacks of all threads, and what the database and the allocator map
/// in advance. Of memory it uses a small part of that.
const NEEDED: u64 = 512 << 20;

/// Makes sure that there is enough address space to start.
///
/// # Errors
/// [`StartError::AddressSpace`] if there is not.
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
    fn too_little_address_space_is_told_with_the_limit() {
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
