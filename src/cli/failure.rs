//! Command failures: one line for the operator and an exit status.

use std::fmt;
use std::panic;
use std::process;
use std::process::ExitCode;

use chinwag::app::StartError;
use chinwag::domain::Error;
use chinwag::store::StoreError;

/// Exit status for an invalid command line.
const USAGE: u8 = 2;

/// A failed command, or a request for help or the version.
#[derive(Debug)]
pub struct Failure {
    line: String,
    status: u8,
    /// Help or version text, which is not a failure and goes to standard output.
    asked: Option<clap::Error>,
}

impl Failure {
    /// Creates a failure with this message and status 1.
    pub fn new(line: impl Into<String>) -> Self {
        Self { line: line.into(), status: 1, asked: None }
    }

    /// Creates a failure for an invalid argument.
    pub fn of_argument(line: String) -> Self {
        Self { line, status: USAGE, asked: None }
    }

    /// Converts a command-line error to its first sentence and a pointer to the help.
    pub fn of_usage(error: clap::Error) -> Self {
        if !error.use_stderr() {
            return Self { line: String::new(), status: 0, asked: Some(error) };
        }
        let text = error.to_string();
        if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return Self { line: String::new(), status: USAGE, asked: Some(error) };
        }
        let sentence = text.split("\n\n").next().unwrap_or_default();
        let words: Vec<&str> = sentence.trim_start_matches("error: ").split_whitespace().collect();
        let line = format!("{} (see chinwag --help)", words.join(" "));
        Self { line, status: USAGE, asked: None }
    }

    /// Converts an error of a command that needs exclusive access to the database.
    pub fn of_command(error: StartError) -> Self {
        let busy = matches!(error, StartError::Store(StoreError::InUse(_)));
        let mut failure = Self::from(error);
        if busy {
            failure.line.push_str(": stop it first, or use its API");
        }
        failure
    }

    /// Converts an error of a service call.
    pub fn of_domain(error: Error) -> Self {
        Self::from(StartError::from(error))
    }

    /// Prints the message and returns the exit status.
    pub fn tell(&self) -> ExitCode {
        match &self.asked {
            // A closed standard output cannot be reported anywhere.
            Some(asked) => drop(asked.print()),
            None => eprintln!("chinwag: {self}"),
        }
        ExitCode::from(self.status)
    }
}

/// Makes every panic end the process with one line. This holds until the service has started or the
/// command is done. Until then a panic means that the system has no thread left or that this
/// program has a bug, and no work has begun that could continue.
pub fn end_at_panic() {
    panic::set_hook(Box::new(|panic| {
        let cause = panic.payload_as_str().unwrap_or("internal error");
        let cause = cause.split_whitespace().collect::<Vec<_>>().join(" ");
        let place = panic.location().map(|place| format!(" ({place})")).unwrap_or_default();
        eprintln!("chinwag: fatal error: {cause}{place}");
        process::exit(1);
    }));
}

/// Restores the default: a panic ends only the task or thread it happens in.
pub fn survive_panics() {
    drop(panic::take_hook());
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let line = match &error {
            StartError::Domain(refused) => words(refused).unwrap_or_else(|| error.line()),
            error => error.line(),
        };
        Self { line, status: error.status(), asked: None }
    }
}

/// Returns a message for operators where the message of the error is meant for programs.
fn words(refused: &Error) -> Option<String> {
    match refused {
        Error::FailedValidation(violations) => {
            let told = violations.iter().map(|broken| match (broken.field.as_str(), broken.kind) {
                ("email", "in") => "no account has this email address".to_owned(),
                ("email", "email") => "this is not a valid email address".to_owned(),
                ("role", "in") => "no role has this name".to_owned(),
                ("password", "min_length") => {
                    let least = broken.details.iter().find(|(name, _)| *name == "valid");
                    let least =
                        least.map_or_else(|| "more".to_owned(), |(_, least)| least.to_string());
                    format!("the password is too short: it needs at least {least} characters")
                }
                ("password", "common") => "the password is too common: choose another".to_owned(),
                ("password", "regex") => {
                    "the password does not match AUTH_PASSWORD_POLICY or auth_password_policy of \
                     /settings: choose another"
                        .to_owned()
                }
                (field, kind) => format!("{field} is not valid ({kind})"),
            });
            Some(told.collect::<Vec<_>>().join(", "))
        }
        Error::RecordNotUnique { value, .. } => Some(format!("{value} is already taken")),
        _ => None,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_error_becomes_a_readable_message() {
        let field = "email".to_owned();
        let broken = chinwag::domain::Violation { field, kind: "in", details: Vec::new() };

        let failure = Failure::of_domain(Error::FailedValidation(vec![broken]));

        assert_eq!(failure.to_string(), "no account has this email address");
        assert_eq!(failure.status, 1);
    }

    #[test]
    fn a_weak_password_is_rejected_with_the_reason() {
        for (password, part) in
            [("short", "too short: it needs at least 8 characters"), ("password", "too common")]
        {
            let refused =
                chinwag::domain::auth::password_policy::check(password, None).unwrap_err();

            let told = Failure::of_domain(refused).to_string();
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn a_database_in_use_error_suggests_an_action() {
        let error = StartError::Store(StoreError::InUse("data/chinwag.db".to_owned()));

        let failure = Failure::of_command(error);

        assert_eq!(
            failure.to_string(),
            "data/chinwag.db is in use by another chinwag process: \
             stop it first, or use its API"
        );
        assert_eq!(failure.status, 3);
    }
}
