//! One process per database file, since the writer keeps its counters in memory. No other process
//! reads the file either.
//!
//! The lock is a file next to the database, under the name that remains once all links are
//! resolved. On Linux the database file itself is locked as well, so that neither another hard link
//! to it nor the removal of the lock file circumvents the lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// Maximum number of attempts to lock a lock file that is removed at the same time.
const ATTEMPTS_MAX: usize = 10;

/// The lock of a database, released when it is dropped or the process is killed.
#[derive(Debug)]
pub(super) struct Lock {
    _beside: File,
    _database: Option<File>,
}

impl Lock {
    /// Acquires the lock of a database, creating the database file if it does not exist.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another process holds it; [`StoreError::Path`] if a file cannot be
    /// created or locked.
    pub(super) fn acquire(database: &Path) -> Result<Self, StoreError> {
        let failed = |path: &Path| {
            let path = path.display().to_string();
            move |source| StoreError::Path { path, source }
        };
        if let Some(directory) = database.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(directory).map_err(failed(directory))?;
        }
        if !database.exists() {
            create_private(database).map_err(failed(database))?;
        }
        let canonical = database.canonicalize().map_err(failed(database))?;
        let path = beside(&canonical);
        let in_use = || StoreError::InUse(database.display().to_string());
        let beside = lock_named(&path).map_err(failed(&path))?.ok_or_else(in_use)?;
        // On other systems such a lock would conflict with the locks of SQLite.
        let is_apart = cfg!(target_os = "linux");
        let itself = if is_apart {
            let file = File::open(&canonical).map_err(failed(&canonical))?;
            let locked = try_lock(file).map_err(failed(&canonical))?;
            Some(locked.ok_or_else(in_use)?)
        } else {
            None
        };
        Ok(Self { _beside: beside, _database: itself })
    }
}

/// Locks the file with this name; `None` if another process holds the lock. A file that was removed
/// before it was locked excludes no other process, so the name is opened again.
fn lock_named(path: &Path) -> io::Result<Option<File>> {
    for _ in 0..ATTEMPTS_MAX {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        let Some(file) = try_lock(file)? else { return Ok(None) };
        if is_named(&file, path) {
            return Ok(Some(file));
        }
    }
    Err(io::Error::other("the file is removed repeatedly"))
}

fn try_lock(file: File) -> io::Result<Option<File>> {
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(source),
    }
}

/// Returns whether an open file is still the one with this name.
#[cfg(unix)]
fn is_named(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    let open = file.metadata().map(identity).ok();
    open.is_some() && open == std::fs::metadata(path).map(identity).ok()
}

/// On other systems an open file cannot be removed.
#[cfg(not(unix))]
fn is_named(_: &File, _: &Path) -> bool {
    true
}

/// Creates the database file, readable by its owner only. SQLite gives the files next to it the
/// same permissions.
fn create_private(database: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(database).map(drop)
}

fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in_use(path: &Path) -> bool {
        matches!(Lock::acquire(path), Err(StoreError::InUse(name)) if name == path.display().to_string())
    }

    #[test]
    fn a_database_has_one_lock_until_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/folder/chinwag.db");

        let lock = Lock::acquire(&path).unwrap();
        assert!(is_in_use(&path));
        assert!(is_in_use(&directory.path().join("new/../new/folder/chinwag.db")));
        drop(lock);

        assert!(Lock::acquire(&path).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn every_path_of_a_database_shares_one_lock() {
        use std::os::unix::fs::symlink;

        let directory = tempfile::tempdir().unwrap();
        let named = |name: &str| directory.path().join(name);
        std::fs::create_dir(named("real")).unwrap();
        symlink("real", named("folder")).unwrap();
        // A link may exist before the database does.
        symlink("real/chinwag.db", named("link.db")).unwrap();

        let spellings = ["link.db", "real/chinwag.db", "folder/chinwag.db"];
        for held in spellings {
            let lock = Lock::acquire(&named(held)).unwrap();
            for other in spellings {
                assert!(is_in_use(&named(other)), "{held} {other}");
            }
            drop(lock);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn hard_links_and_removed_lock_files_do_not_bypass_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (directory.path().join("a.db"), directory.path().join("b.db"));
        let lock = Lock::acquire(&path).unwrap();
        std::fs::hard_link(&path, &other).unwrap();

        assert!(is_in_use(&other));
        std::fs::remove_file(beside(&path)).unwrap();
        assert!(is_in_use(&path));
        // The lock file of a database that was replaced still counts.
        drop(lock);
        let lock = Lock::acquire(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(is_in_use(&path));
        drop(lock);
        assert!(Lock::acquire(&path).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_removed_lock_file_differs_from_its_replacement() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chinwag.db.lock");

        let file = lock_named(&path).unwrap().unwrap();
        assert!(is_named(&file, &path));
        std::fs::remove_file(&path).unwrap();
        assert!(!is_named(&file, &path));
        let _other = lock_named(&path).unwrap().unwrap();
        assert!(!is_named(&file, &path));
    }
}
