//! The limit of open files. Each connection takes a file descriptor.
//!
//! Services often start with a soft limit of 1024 files and a higher hard limit. Connections beyond
//! the limit would not be refused but hang, so the connection limit never exceeds it.

use rustix::process::getrlimit;
use rustix::process::setrlimit;
use rustix::process::{Resource, Rlimit};

/// Descriptors of the database, mail, pages, logs and the runtime, and one connection to refuse.
const OTHERS: usize = 64;

/// Descriptors per database connection, including log and index, with some reserve.
const PER_READER: usize = 8;

/// Raises the file limit for this number of connections as far as the system allows, and returns
/// the number of connections that fit. Logs a warning if it is lower.
pub(super) fn raise_limit(connections_max: usize, readers: u32) -> usize {
    let reserve = OTHERS + PER_READER * readers as usize;
    let wanted = connections_max.saturating_add(reserve);
    let Some(limit) = raise(wanted as u64) else { return connections_max };
    let room = room(limit, reserve);
    if room < connections_max {
        tracing::warn!(
            files_max = limit,
            "the limit of open files allows {room} connections, fewer than CONNECTIONS_MAX, and \
             further connections are refused: raise the limit (ulimit -n, LimitNOFILE)"
        );
    }
    room.min(connections_max)
}

/// Raises the limit to `wanted` if permitted, and returns the limit then in effect; `None` if there
/// is no limit.
fn raise(wanted: u64) -> Option<u64> {
    let before = getrlimit(Resource::Nofile);
    let current = before.current?;
    let most = before.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if current >= most {
        return Some(current);
    }
    // Not raised further: child processes inherit it, and some iterate over all descriptors.
    let raised = Rlimit { current: Some(most), maximum: before.maximum };
    Some(setrlimit(Resource::Nofile, raised).map_or(current, |()| most))
}

/// Returns the number of connections that fit. At least a quarter of a low limit is theirs.
fn room(limit: u64, reserve: usize) -> usize {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    limit.saturating_sub(reserve).max(limit / 4).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_descriptors_are_reserved_for_other_uses() {
        assert_eq!(room(1024, 100), 924);
        assert_eq!(room(64, 100), 16);
        assert_eq!(room(2, 100), 1);
        assert_eq!(room(u64::MAX, 100), usize::MAX - 100);
    }

    #[test]
    fn the_file_limit_is_raised_and_never_lowered() {
        let before = getrlimit(Resource::Nofile);
        let current = before.current.unwrap();

        assert_eq!(raise(1), Some(current));
        assert_eq!(getrlimit(Resource::Nofile).current, Some(current));

        let most = before.maximum.unwrap_or(u64::MAX).min(current + 10);
        assert_eq!(raise(current + 10), Some(most));
        assert_eq!(getrlimit(Resource::Nofile).current, Some(most));
    }
}
