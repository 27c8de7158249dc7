//! Mail: the transport, and where the links in mails may lead.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::config::Secret;
use crate::config::parse;
use crate::config::reader::Reader;
use crate::text;

/// Outgoing mail.
#[derive(Debug, Clone)]
pub struct EmailConfig {
    /// `EMAIL_FROM`, default `no-reply@example.com`: the sender, as an address or `Name <address>`.
    pub from: String,
    /// `EMAIL_TRANSPORT`, default none, with `--demo` `log`: the transport; `None` disables mail.
    pub transport: Option<EmailTransport>,
    /// `EMAIL_SENDMAIL_PATH`, default `/usr/sbin/sendmail`.
    pub sendmail: PathBuf,
    /// `EMAIL_FILE_PATH`, default `data/mails`: the directory that `file` writes into.
    pub directory: PathBuf,
    /// The server of the `smtp` transport.
    pub smtp: SmtpConfig,
}

/// Mail transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// An SMTP server.
#[derive(Debug, Clone)]
pub struct SmtpConfig {
    /// `EMAIL_SMTP_HOST`, default `localhost`.
    pub host: String,
    /// `EMAIL_SMTP_PORT`, default 587, with `EMAIL_SMTP_SECURE` 465.
    pub port: u16,
    /// `EMAIL_SMTP_USER`, default none.
    pub user: Option<String>,
    /// `EMAIL_SMTP_PASSWORD`, default none.
    pub password: Option<Secret>,
    /// `EMAIL_SMTP_SECURE`, default false: implicit TLS. Otherwise `STARTTLS` is used if the server
    /// offers it, and is required if there is a password to send.
    pub secure: bool,
    /// `EMAIL_SMTP_IGNORE_TLS`, default false: no TLS at all.
    pub ignore_tls: bool,
    /// `EMAIL_SMTP_NAME`, default the host name of this machine: the name sent in `EHLO`.
    pub name: Option<String>,
}

/// Links in mails.
#[derive(Debug, Clone)]
pub struct LinksConfig {
    /// `PASSWORD_RESET_URL_ALLOW_LIST`, default none: allowed targets of password reset links,
    /// besides the built-in page.
    pub reset_urls: Vec<Url>,
    /// `USER_INVITE_URL_ALLOW_LIST`, default none: allowed targets of invitation links.
    pub invite_urls: Vec<Url>,
    /// `USER_REGISTER_URL_ALLOW_LIST`, default none: allowed targets of verification links.
    pub register_urls: Vec<Url>,
    /// `USER_INVITE_TOKEN_TTL`, default `7d`: how long an invitation is valid.
    pub invite_ttl: Duration,
    /// `EMAIL_VERIFICATION_TOKEN_TTL`, default `7d`: how long a verification link is valid.
    pub verification_ttl: Duration,
    /// `REGISTER_STALL_TIME`, in milliseconds, default 750: minimum duration of a registration.
    pub register_stall: Duration,
    /// `PASSWORD_RESET_STALL_TIME`, in milliseconds, default 500: minimum duration of a password
    /// reset request.
    pub reset_stall: Duration,
}

impl EmailConfig {
    pub(super) fn read(from: &mut Reader) -> Self {
        const TRANSPORTS: &[(&str, EmailTransport)] = &[
            ("smtp", EmailTransport::Smtp),
            ("sendmail", EmailTransport::Sendmail),
            ("log", EmailTransport::Log),
            ("file", EmailTransport::File),
        ];
        Self {
            transport: from.find("EMAIL_TRANSPORT", parse::choice(TRANSPORTS)),
            from: from.read("EMAIL_FROM", "no-reply@example.com", sender),
            smtp: SmtpConfig::read(from),
            sendmail: from.read("EMAIL_SENDMAIL_PATH", "/usr/sbin/sendmail", parse::file),
            directory: from.read("EMAIL_FILE_PATH", "data/mails", parse::file),
        }
    }
}

impl SmtpConfig {
    fn read(from: &mut Reader) -> Self {
        let host = from.read("EMAIL_SMTP_HOST", "localhost", parse::domain);
        let port = from.find("EMAIL_SMTP_PORT", parse::number(1, 65_535));
        let secure = from.read("EMAIL_SMTP_SECURE", "false", parse::boolean);
        let config = Self {
            host,
            port: port.unwrap_or(if secure { 465 } else { 587 }),
            secure,
            ignore_tls: from.read("EMAIL_SMTP_IGNORE_TLS", "false", parse::boolean),
            user: from.find("EMAIL_SMTP_USER", parse::text),
            password: from.find_secret("EMAIL_SMTP_PASSWORD", parse::secret(1)),
            name: from.find("EMAIL_SMTP_NAME", parse::domain),
        };
        if config.secure && config.ignore_tls {
            from.report("EMAIL_SMTP_IGNORE_TLS", Some("true"), "false with EMAIL_SMTP_SECURE");
        }
        if config.user.is_some() != config.password.is_some() {
            from.report("EMAIL_SMTP_PASSWORD", None, "set together with EMAIL_SMTP_USER");
        }
        config
    }
}

impl LinksConfig {
    pub(super) fn read(from: &mut Reader) -> Self {
        let list = |from: &mut Reader, name| from.find(name, urls).unwrap_or_default();
        Self {
            reset_urls: list(from, "PASSWORD_RESET_URL_ALLOW_LIST"),
            invite_urls: list(from, "USER_INVITE_URL_ALLOW_LIST"),
            register_urls: list(from, "USER_REGISTER_URL_ALLOW_LIST"),
            invite_ttl: from.read("USER_INVITE_TOKEN_TTL", "7d", parse::lifetime),
            verification_ttl: from.read("EMAIL_VERIFICATION_TOKEN_TTL", "7d", parse::lifetime),
            register_stall: from.read("REGISTER_STALL_TIME", "750", parse::wait),
            reset_stall: from.read("PASSWORD_RESET_STALL_TIME", "500", parse::wait),
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

/// URLs of pages, separated by commas.
pub(super) fn urls(value: &str) -> Result<Vec<Url>, String> {
    text::names(value)
        .map(|part| Url::parse(part).ok().filter(Url::has_host))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| {
            "addresses of pages, separated by commas, such as https://chat.example.com/welcome"
                .to_owned()
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
