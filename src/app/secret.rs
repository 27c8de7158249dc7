//! The secret that signs tokens, if the settings have none. It is generated on the first start and
//! kept in a file beside the database that only its owner can read.

use std::fs::{File, OpenOptions};
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use data_encoding::BASE64URL_NOPAD;

use crate::app::StartError;
use crate::config::Secret;

const RANDOM_BYTES: usize = 32;
const CHARACTERS_MIN: usize = 32;

/// Returns the secret kept beside the database, or generates one. Call it only while the database
/// is open: its lock keeps other processes from generating one at the same time. A database in
/// memory gets a new secret each time.
///
/// # Errors
/// [`StartError::SecretFile`], [`StartError::ShortSecret`].
pub fn require(database: Option<&Path>) -> Result<Secret, StartError> {
    let Some(database) = database else {
        return Ok(Secret(generate()));
    };
    let path = database.with_file_name("secret");
    let failed = |source| StartError::SecretFile { path: path.clone(), source };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = generate();
            write(&path, &text).map_err(failed)?;
            text
        }
        Err(error) => return Err(failed(error)),
    };
    if text.chars().count() < CHARACTERS_MIN {
        return Err(StartError::ShortSecret(path));
    }
    Ok(Secret(text))
}

fn generate() -> String {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).expect("the operating system provides random numbers");
    BASE64URL_NOPAD.encode(&bytes)
}

/// Writes to a temporary name first, so that a partly written file is never found.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("new");
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("chinwag-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_secret_is_created_once_and_private_to_the_owner() {
        let directory = Directory::new("secret-once");
        let database = directory.0.join("chinwag.db");

        let made = require(Some(&database)).unwrap().0;
        let kept = require(Some(&database)).unwrap().0;

        assert_eq!(made, kept);
        assert_eq!(BASE64URL_NOPAD.decode(made.as_bytes()).unwrap().len(), RANDOM_BYTES);
        let permissions = directory.0.join("secret").metadata().unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&directory.0).unwrap().count(), 1);
    }

    #[test]
    fn a_short_secret_is_rejected_and_not_overwritten() {
        let directory = Directory::new("secret-short");
        std::fs::write(directory.0.join("secret"), "short\n").unwrap();

        let refused = require(Some(&directory.0.join("chinwag.db")));

        assert!(matches!(refused, Err(StartError::ShortSecret(_))));
        assert_eq!(std::fs::read_to_string(directory.0.join("secret")).unwrap(), "short\n");
    }

    #[test]
    fn an_in_memory_store_has_a_new_secret_per_start() {
        assert_ne!(require(None).unwrap().0, require(None).unwrap().0);
    }
}
