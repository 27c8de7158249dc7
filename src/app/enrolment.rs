//! Sets up mail from the settings: the transport, the base URL of links, and warnings at startup.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::app::StartError;
use crate::app::welcome::reachable;
use crate::clock::Clock;
use crate::config::{Config, EmailConfig, EmailTransport};
use crate::domain::committer::Committer;
use crate::domain::mails::Mails;
use crate::domain::mails::action_token::ActionTokens;
use crate::domain::settings::Settings;
use crate::mail::Mailer;
use crate::store::Store;

/// Returns the mail queue with the configured transport, which defaults to the log in demo mode.
pub(super) fn mails(
    config: &Config,
    store: &Arc<Store>,
    committer: &Arc<Committer>,
    settings: &Arc<Settings>,
    clock: &Clock,
) -> Result<Arc<Mails>, StartError> {
    let demo = config.bootstrap.demo.then_some(EmailTransport::Log);
    let email = EmailConfig { transport: config.email.transport.or(demo), ..config.email.clone() };
    if email.transport == Some(EmailTransport::Log) {
        tracing::warn!(
            "EMAIL_TRANSPORT=log writes emails to this log: everyone with access to the log can \
             use their links"
        );
    }
    let mailer = Mailer::open(&email)
        .map_err(|source| StartError::System { what: "TLS certificates", source })?;
    Ok(Arc::new(Mails {
        mailer,
        tokens: ActionTokens::new(&config.auth.secret),
        store: Arc::clone(store),
        committer: Arc::clone(committer),
        settings: Arc::clone(settings),
        clock: clock.clone(),
        base: base(config),
        project_name: config.server.project_name.clone(),
        wake: Notify::new(),
    }))
}

/// Returns the base URL of links in mail. It is never taken from a request: the sender of a forged
/// one could have the links of other users lead to a host of their own.
fn base(config: &Config) -> String {
    match config.server.public_url.as_str() {
        "/" => {
            let base = format!(
                "http://{}",
                reachable(SocketAddr::new(config.server.host, config.server.port))
            );
            if config.email.transport.is_some() {
                tracing::warn!("PUBLIC_URL is not set: links in emails point to {base}");
            }
            base
        }
        known => known.to_owned(),
    }
}
