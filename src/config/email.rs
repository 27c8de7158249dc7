//! Mail: the transport, and where the links in mails may lead.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use url::Url;

use crate::config::Secret;
use crate::config::parse;
use crate::config::reader::Reader;

settings! {
    /// Outgoing mail.
    pub struct EmailConfig {
        /// The mail transport: smtp, sendmail or, for development, file or log (readers of the log
        /// can follow the links). Not set: no mail, with `--demo` log. Links begin with
        /// `PUBLIC_URL`.
        transport: Option<EmailTransport> = optional("EMAIL_TRANSPORT", choice);
        /// The sender: an address, or `Name <address>`.
        from: String = setting("EMAIL_FROM", "no-reply@example.com", sender);
        /// The server of the `smtp` transport.
        smtp: SmtpConfig = section();
        /// The program of the transport sendmail.
        sendmail: PathBuf = setting("EMAIL_SENDMAIL_PATH", "/usr/sbin/sendmail", file);
        /// The directory of the transport file.
        directory: PathBuf = setting("EMAIL_FILE_PATH", "data/mails", file);
    }
}

settings! {
    /// An SMTP server.
    pub struct SmtpConfig {
        /// The mail server for smtp.
        host: String = setting("EMAIL_SMTP_HOST", "localhost", domain);
        /// Whether to use TLS with the mail server from the first byte. Otherwise STARTTLS is used
        /// if the server offers it, and required if there is a password to send.
        secure: bool = setting("EMAIL_SMTP_SECURE", "false", boolean);
        /// The port of the mail server. Not set: 587, with `EMAIL_SMTP_SECURE` 465.
        port: u16 =
            derived("EMAIL_SMTP_PORT", if secure { "465" } else { "587" }, number(1, 65_535));
        /// Whether to use no TLS at all with the mail server.
        ignore_tls: bool = setting("EMAIL_SMTP_IGNORE_TLS", "false", boolean);
        /// The account at the mail server.
        user: Option<String> = optional("EMAIL_SMTP_USER", text);
        /// The password of `EMAIL_SMTP_USER`.
        password: Option<Secret> = secret("EMAIL_SMTP_PASSWORD", secret(1));
        /// The name of this machine in EHLO. Not set: its host name.
        name: Option<String> = optional("EMAIL_SMTP_NAME", domain);
    }
    check SmtpConfig::check;
}

settings! {
    /// Links in mails.
    pub struct LinksConfig {
        /// The pages that password reset links may lead to besides the built-in one, separated by
        /// commas. Scheme, host, port and path of a `reset_url` have to match one of them.
        reset_urls: Vec<Url> = setting("PASSWORD_RESET_URL_ALLOW_LIST", "", urls);
        /// The pages that invitations (`invite_url`) may lead to, separated by commas.
        invite_urls: Vec<Url> = setting("USER_INVITE_URL_ALLOW_LIST", "", urls);
        /// The pages that links to confirm an address (`verification_url`) may lead to, separated
        /// by commas.
        register_urls: Vec<Url> = setting("USER_REGISTER_URL_ALLOW_LIST", "", urls);
        /// How long an invitation is valid (plain: milliseconds).
        invite_ttl: Duration = setting("USER_INVITE_TOKEN_TTL", "7d", milliseconds(1_000));
        /// How long a link that confirms an address is valid (plain: milliseconds). A password
        /// reset link is valid for a day.
        verification_ttl: Duration =
            setting("EMAIL_VERIFICATION_TOKEN_TTL", "7d", milliseconds(1_000));
        /// The minimum duration of a registration, so that timing discloses nothing (plain:
        /// milliseconds); slower ones take a multiple.
        register_stall: Duration = setting("REGISTER_STALL_TIME", "750", milliseconds(0));
        /// The minimum duration of a request for a new password, as of a registration (plain:
        /// milliseconds).
        reset_stall: Duration = setting("PASSWORD_RESET_STALL_TIME", "500", milliseconds(0));
    }
}

/// Mail transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum EmailTransport {
    /// An SMTP server.
    Smtp,
    /// A program that reads the mail from standard input.
    Sendmail,
    /// The log. For development only: anyone with access to the log can use the links.
    Log,
    /// One file per mail. For development only.
    File,
}

impl SmtpConfig {
    fn check(&mut self, from: &mut Reader) {
        if self.secure && self.ignore_tls {
            from.report("EMAIL_SMTP_IGNORE_TLS", "false with EMAIL_SMTP_SECURE");
        }
        if self.user.is_some() != self.password.is_some() {
            from.report("EMAIL_SMTP_PASSWORD", "set together with EMAIL_SMTP_USER");
        }
    }
}

/// A sender address, optionally with a name.
fn sender(value: &str) -> Result<String, String> {
    let address = match value.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
        Some((_, address)) => address,
        None => value,
    };
    parse::text(value).and_then(|_| parse::email(address)).map(|_| value.to_owned()).map_err(|_| {
        "an address, such as chat@example.com or Our chat <chat@example.com>".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn read(texts: &[(&str, &str)]) -> Result<Config, String> {
        Config::from_texts(texts.iter().copied()).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn mail_is_off_until_a_transport_is_set() {
        let config = read(&[]).unwrap();

        assert_eq!(config.email.transport, None);
        assert_eq!((config.email.smtp.host.as_str(), config.email.smtp.port), ("localhost", 587));
        assert!(config.links.reset_urls.is_empty());
        assert_eq!(config.links.invite_ttl, Duration::from_hours(7 * 24));
        assert_eq!(config.links.register_stall, Duration::from_millis(750));
    }

    #[test]
    fn mail_settings_have_the_names_of_directus() {
        let config = read(&[
            ("EMAIL_TRANSPORT", "SMTP"),
            ("EMAIL_FROM", "Our chat <chat@example.com>"),
            ("EMAIL_SMTP_HOST", "mail.example.com"),
            ("EMAIL_SMTP_SECURE", "true"),
            ("EMAIL_SMTP_USER", "chat"),
            ("EMAIL_SMTP_PASSWORD", "hunter2hunter2"),
            ("PASSWORD_RESET_URL_ALLOW_LIST", "https://a.example.com/reset, http://b.example.com"),
        ])
        .unwrap();

        assert_eq!(config.email.transport, Some(EmailTransport::Smtp));
        assert_eq!(config.email.smtp.port, 465);
        assert_eq!(config.links.reset_urls.len(), 2);
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn invalid_settings_are_named() {
        for (name, text) in [
            ("EMAIL_TRANSPORT", "pigeon"),
            ("EMAIL_FROM", "nobody"),
            ("EMAIL_FROM", "Nobody <nobody>"),
            ("EMAIL_SMTP_PORT", "0"),
            ("EMAIL_SMTP_USER", "without a password"),
            ("USER_INVITE_URL_ALLOW_LIST", "/relative"),
            ("USER_INVITE_URL_ALLOW_LIST", "https://fine.example.com,mailto:x@example.com"),
        ] {
            let wrong = read(&[(name, text)]).unwrap_err();
            assert!(wrong.contains(name) || wrong.contains("EMAIL_SMTP_PASSWORD"), "{wrong}");
        }
    }
}
