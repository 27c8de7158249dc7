//! One process per database file, since the counters of the writer live in its memory; and nobody
//! else reads it.

use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::path::Path;
use std::path::PathBuf;

use crate::store::StoreError;

/// Takes the lock beside the database file; it is held until the returned file is dropped, also by
/// a process that is killed.
///
/// # Errors
/// [`StoreError::InUse`] if another process has it, [`StoreError::Path`] if it cannot be made.
pub(super) fn acquire(database: &Path) -> Result<File, StoreError> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| StoreError::Path { path, source }
    };
    if let Some(directory) = database.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).map_err(failed(directory))?;
    }
    let path = beside(database);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(failed(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(database.display().to_string())),
        Err(TryLockError::Error(source)) => Err(failed(&path)(source)),
    }
}

/// Makes the database file, if there is none yet, so that only its owner can read it. SQLite gives
/// the files beside it the same rights.
///
/// # Errors
/// [`StoreError::Path`] if it cannot be made.
pub(super) fn keep_private(database: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let path = database.display().to_string();
    options.open(database).map(drop).map_err(|source| StoreError::Path { path, source })
}

fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}
