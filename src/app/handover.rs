//! Replaces the running program with the installed one without closing the listening socket.
//!
//! The process keeps its PID, so a supervisor is not affected, and clients that connect meanwhile
//! wait in the backlog of the socket. The caller is responsible for the shutdown before that.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::FdFlags;

/// The command line of this process, to run it again.
#[derive(Debug, Clone)]
pub struct Handover {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Handover {
    /// Records the command line of this process. Call it at startup: once the file of a running
    /// program is replaced, the system no longer reports its path.
    ///
    /// # Errors
    /// When the system does not report the path now.
    pub fn prepare(search: Option<&OsStr>) -> io::Result<Self> {
        let running = std::env::current_exe()?;
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_default();
        let program = find_program(&name, search, running);
        Ok(Self { program, arguments: arguments.collect() })
    }

    /// Returns whether the program file exists.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.program.is_file()
    }

    /// Returns the path of the program to execute.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Replaces this process. Returns only on failure, with the reason. In that case nothing has
    /// changed, except that child processes started later would inherit the socket.
    #[must_use]
    pub fn replace(&self, listener: &TcpListener) -> io::Error {
        if let Err(error) = rustix::io::fcntl_setfd(listener.as_fd(), FdFlags::empty()) {
            return error.into();
        }
        Command::new(&self.program)
            .args(&self.arguments)
            .env("LISTEN_FDS", "1")
            .env("LISTEN_PID", std::process::id().to_string())
            // The socket need not be the first descriptor after standard error.
            .env("LISTEN_FDS_FIRST_FD", listener.as_raw_fd().to_string())
            .exec()
    }
}

/// Returns the path by which the program was called, keeping symbolic links, since an operator may
/// upgrade by retargeting one. Falls back to the path of the running file if the name does not lead
/// to it.
fn find_program(name: &OsStr, search: Option<&OsStr>, running: PathBuf) -> PathBuf {
    let called = if name.as_encoded_bytes().contains(&b'/') {
        std::path::absolute(name).ok()
    } else {
        let directories = search.map(std::env::split_paths).into_iter().flatten();
        directories.map(|directory| directory.join(name)).find(|path| path.is_file())
    };
    called.filter(|called| is_same_file(called, &running)).unwrap_or(running)
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (one.metadata(), other.metadata()) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with a link named `chinwag` to the running program, removed on drop.
    struct Installed(PathBuf);

    impl Installed {
        fn new(name: &str) -> Self {
            let directory =
                std::env::temp_dir().join(format!("chinwag-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&directory).unwrap();
            std::os::unix::fs::symlink(std::env::current_exe().unwrap(), directory.join("chinwag"))
                .unwrap();
            Self(directory)
        }
    }

    impl Drop for Installed {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_symlink_of_the_command_line_is_kept() {
        let installed = Installed::new("link");
        let running = std::env::current_exe().unwrap();
        let link = installed.0.join("chinwag");

        let by_path = find_program(link.as_os_str(), None, running.clone());
        let by_search =
            find_program(OsStr::new("chinwag"), Some(installed.0.as_os_str()), running.clone());

        assert_eq!(by_path, link);
        assert_eq!(by_search, link);
    }

    #[test]
    fn a_name_of_another_program_is_ignored() {
        let running = std::env::current_exe().unwrap();

        for name in ["/bin/sh", "/no/such/file", "no-such-program", ""] {
            let found = find_program(OsStr::new(name), None, running.clone());

            assert_eq!(found, running, "{name}");
        }
    }

    #[test]
    fn a_failed_start_leaves_the_socket_uninheritable() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let handover = Handover { program: "/no/such/file".into(), arguments: Vec::new() };

        let failed = handover.replace(&listener);

        assert_eq!(failed.kind(), io::ErrorKind::NotFound);
        assert!(!handover.is_possible());
        // The socket would have been inherited.
        assert_eq!(rustix::io::fcntl_getfd(&listener).unwrap(), FdFlags::empty());
    }
}
