//! Sets up identity providers from the settings. None of them is contacted at startup.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::app::StartError;
use crate::clock::Clock;
use crate::config::{Config, Driver};
use crate::domain::auth::providers::Providers;
use crate::domain::auth::{Auth, Issuer};
use crate::providers::Network;

/// Adds the configured providers and token issuer to sign-in.
pub(super) fn with_others(
    auth: Auth,
    config: &Config,
    clock: &Clock,
    tasks: &TaskTracker,
    stopping: &CancellationToken,
) -> Result<Arc<Auth>, StartError> {
    let settings = &config.providers;
    if settings.providers.is_empty() && settings.issuer.is_none() {
        return Ok(Arc::new(auth));
    }
    let network = Network::new(tasks.clone(), stopping.clone())
        .map_err(|source| StartError::System { what: "TLS certificates", source })?;
    warn_of_plain(config);
    let issuer = settings.issuer.as_ref().map(|issuer| Issuer::new(issuer, &network, clock));
    // A public URL is required if there are providers; without any the base URL is unused.
    let home = format!("{}/", config.server.public_url.trim_end_matches('/'));
    let home = Url::parse(&home).or_else(|_| Url::parse("http://localhost/"));
    let home = home.expect("the fallback is a valid URL");
    let providers = Providers::new(settings, &home, &config.auth.secret, &network, clock);
    Ok(Arc::new(auth.with(providers, issuer)))
}

/// Warns of providers on other machines that are accessed without TLS: an attacker on the path
/// could forge identities.
fn warn_of_plain(config: &Config) {
    let of_providers = config.providers.providers.iter().flat_map(|provider| {
        let urls = match &provider.driver {
            Driver::OpenId { discovery } => vec![discovery],
            Driver::OAuth2 { authorize, access, profile } => vec![authorize, access, profile],
        };
        urls.into_iter().map(|url| (provider.name.as_str(), url))
    });
    let of_issuer = config.providers.issuer.iter();
    let of_issuer = of_issuer.map(|issuer| (issuer.provider.as_str(), &issuer.keys_url));
    for (provider, url) in of_providers.chain(of_issuer) {
        let is_here = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        if url.scheme() != "https" && !is_here {
            tracing::warn!(
                provider,
                "requests to a provider are not encrypted (no TLS): use this for tests only"
            );
        }
    }
}
