//! Mail transports, and the classification of their failures.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSendmailTransport, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt;

use crate::config::{EmailConfig, EmailTransport, SmtpConfig};
use crate::mail::compose;
use crate::mail::{Email, MailError};

/// Timeout of each step of an SMTP session.
const STEP_MAX: Duration = Duration::from_secs(15);
/// Timeout of sending one message.
const SEND_TIMEOUT: Duration = Duration::from_mins(1);

/// Sends email by the configured transport.
pub struct Mailer {
    from: String,
    transport: Transport,
}

enum Transport {
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
    Sendmail(AsyncSendmailTransport<Tokio1Executor>),
    File(PathBuf),
    Log,
}

impl Mailer {
    /// Creates the mailer for the configured transport; `None` if none is configured. No
    /// connection is made yet.
    ///
    /// # Errors
    /// If the system's certificates cannot be read.
    pub fn open(config: &EmailConfig) -> io::Result<Option<Self>> {
        let transport = match config.transport {
            None => return Ok(None),
            Some(EmailTransport::Smtp) => Transport::Smtp(Box::new(smtp(&config.smtp)?)),
            Some(EmailTransport::Sendmail) => {
                Transport::Sendmail(AsyncSendmailTransport::new_with_command(&config.sendmail))
            }
            Some(EmailTransport::File) => Transport::File(config.directory.clone()),
            Some(EmailTransport::Log) => Transport::Log,
        };
        Ok(Some(Self { from: config.from.clone(), transport }))
    }

    /// Sends a message. On success, the transport has accepted it.
    ///
    /// # Errors
    /// If the message was not accepted, or the outcome is unknown.
    pub async fn send(&self, email: &Email) -> Result<(), MailError> {
        let late = || MailError::Passing("sending the email took too long".to_owned());
        tokio::time::timeout(SEND_TIMEOUT, self.deliver(email)).await.map_err(|_| late())?
    }

    async fn deliver(&self, email: &Email) -> Result<(), MailError> {
        let message = compose(email, &self.from)?;
        match &self.transport {
            Transport::Smtp(smtp) => {
                smtp.send(message).await.map(drop).map_err(|error| failure_of_smtp(&error))
            }
            Transport::Sendmail(sendmail) => sendmail.send(message).await.map_err(|error| {
                let what = if error.is_client() { "refused the email" } else { "cannot be run" };
                MailError::Passing(format!("EMAIL_SENDMAIL_PATH {what}"))
            }),
            Transport::File(directory) => {
                let name = format!("{}.eml", email.id);
                write(directory, &name, &message.formatted()).await.map_err(|error| {
                    MailError::Passing(format!("EMAIL_FILE_PATH cannot be written: {error}"))
                })
            }
            Transport::Log => {
                // One log event per line of text, since the log escapes line breaks.
                tracing::warn!("email to {}: {}", email.to, email.subject);
                for line in email.text.lines().filter(|line| !line.is_empty()) {
                    tracing::warn!("  {line}");
                }
                Ok(())
            }
        }
    }
}

fn smtp(config: &SmtpConfig) -> io::Result<AsyncSmtpTransport<Tokio1Executor>> {
    let parameters = || TlsParameters::new_rustls(config.host.clone()).map_err(io::Error::other);
    let tls = if config.ignore_tls {
        Tls::None
    } else if config.secure {
        Tls::Wrapper(parameters()?)
    } else if config.user.is_some() {
        // An attacker on the path could strip `STARTTLS` and read the password.
        Tls::Required(parameters()?)
    } else {
        Tls::Opportunistic(parameters()?)
    };
    let mut smtp = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
        .port(config.port)
        .timeout(Some(STEP_MAX))
        .tls(tls);
    if let (Some(user), Some(password)) = (&config.user, &config.password) {
        smtp = smtp.credentials(Credentials::new(user.clone(), password.0.clone()));
    }
    if let Some(name) = &config.name {
        smtp = smtp.hello_name(ClientId::Domain(name.clone()));
    }
    Ok(smtp.build())
}

/// Classifies an SMTP failure. The server's text is omitted, since it may contain the address.
fn failure_of_smtp(error: &lettre::transport::smtp::Error) -> MailError {
    let code = error.status().map(|code| code.to_string());
    if error.is_permanent() {
        return MailError::Refused(code.unwrap_or_default());
    }
    let what = if error.is_transient() {
        let code = code.unwrap_or_default();
        return MailError::Passing(format!("the mail server cannot accept the email now ({code})"));
    } else if error.is_timeout() {
        "the mail server does not answer in time"
    } else if error.is_tls() {
        "the TLS connection to the mail server failed"
    } else if error.is_response() {
        "the response of the mail server is invalid"
    } else if error.is_client() {
        "the mail server lacks a required feature: see EMAIL_SMTP_USER and EMAIL_SMTP_IGNORE_TLS"
    } else {
        "the mail server cannot be reached"
    };
    MailError::Passing(what.to_owned())
}

/// Writes a message atomically to a file that only the owner may read.
async fn write(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    tokio::fs::create_dir_all(directory).await?;
    let partial = directory.join(format!(".{name}.part"));
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(&partial).await?;
    file.write_all(bytes).await?;
    file.sync_all().await?;
    tokio::fs::rename(partial, directory.join(name)).await
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::Config;
    use crate::mail::example;

    fn config(texts: &[(&str, &str)]) -> EmailConfig {
        Config::from_texts(texts.iter().copied()).unwrap().email
    }

    #[test]
    fn there_is_no_mailer_without_a_transport() {
        assert!(Mailer::open(&config(&[])).unwrap().is_none());
        for transport in ["smtp", "sendmail", "log", "file"] {
            assert!(Mailer::open(&config(&[("EMAIL_TRANSPORT", transport)])).unwrap().is_some());
        }
    }

    #[tokio::test]
    async fn an_email_file_is_private_to_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mails");
        let mut config = config(&[("EMAIL_TRANSPORT", "file")]);
        config.directory = path.clone();

        let mailer = Mailer::open(&config).unwrap().unwrap();
        mailer.send(&example()).await.unwrap();

        let file = path.join(format!("{}.eml", example().id));
        assert!(std::fs::read_to_string(&file).unwrap().contains("To: alice@example.com"));
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn an_unreachable_server_is_a_temporary_failure() {
        let mut config = config(&[("EMAIL_TRANSPORT", "smtp"), ("EMAIL_SMTP_HOST", "127.0.0.1")]);
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        config.smtp.port = unused.local_addr().unwrap().port();
        drop(unused);

        let failed = Mailer::open(&config).unwrap().unwrap().send(&example()).await;

        let unreachable = "the mail server cannot be reached".to_owned();
        assert_eq!(failed, Err(MailError::Passing(unreachable)));
    }

    #[tokio::test]
    async fn sendmail_receives_the_email_on_standard_input() {
        let directory = tempfile::tempdir().unwrap();
        let (program, taken) = (directory.path().join("sendmail"), directory.path().join("taken"));
        let script = format!("#!/bin/sh\necho \"$@\" > {0}.args\ncat > {0}\n", taken.display());
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
        let mut config = config(&[("EMAIL_TRANSPORT", "sendmail")]);
        config.sendmail = program;

        Mailer::open(&config).unwrap().unwrap().send(&example()).await.unwrap();

        assert!(std::fs::read_to_string(&taken).unwrap().contains("To: alice@example.com"));
        let arguments = std::fs::read_to_string(directory.path().join("taken.args")).unwrap();
        assert!(arguments.contains("-- alice@example.com"), "{arguments}");
    }
}
