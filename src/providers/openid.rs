//! OpenID Connect with the authorization code flow and PKCE: discovery of the provider, and
//! verification of its ID tokens (OpenID Connect Core 1.0, section 3.1).

use std::sync::Arc;

use chrono::{DateTime, Utc};
use data_encoding::BASE64URL_NOPAD;
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreErrorResponseType, CoreIdToken,
    CoreJsonWebKeySet, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreTokenResponse,
};
use openidconnect::{
    AccessTokenHash, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret,
    CsrfToken, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, SignatureVerificationError, TokenResponse, TokenUrl, UserInfoUrl,
};
use serde_json::{Map, Value as Json};
use url::Url;

use crate::clock::Clock;
use crate::config::ProviderConfig;
use crate::providers::fetched::{CachedVersion, Fetched, Wanted};
use crate::providers::{Http, Pending, Profile, ProviderError};

/// Maximum lead of the provider's clock over the local clock, in seconds.
const AHEAD_SECONDS_MAX: i64 = 60;

/// Path suffix of every discovery URL.
const DOCUMENT: &str = "/.well-known/openid-configuration";

/// An OpenID Connect provider.
pub struct OpenId {
    discovery: Url,
    client_id: ClientId,
    client_secret: Option<ClientSecret>,
    scope: Vec<Scope>,
    params: Vec<(String, String)>,
    callback: RedirectUrl,
    http: Http,
    clock: Clock,
    metadata: Fetched<CoreProviderMetadata>,
}

impl OpenId {
    pub(super) fn new(
        config: &ProviderConfig,
        discovery: Url,
        callback: &Url,
        http: Http,
        clock: Clock,
    ) -> Self {
        let secret = config.client_secret.as_ref();
        Self {
            discovery,
            client_id: ClientId::new(config.client_id.clone()),
            client_secret: secret.map(|secret| ClientSecret::new(secret.0.clone())),
            scope: config.scope.iter().cloned().map(Scope::new).collect(),
            params: config.params.clone(),
            callback: RedirectUrl::from_url(callback.clone()),
            http,
            metadata: Fetched::new(clock.clone()),
            clock,
        }
    }

    pub(super) async fn begin(&self) -> Result<(Url, Pending), ProviderError> {
        let metadata = self.metadata(Wanted::Any).await?;
        let client = CoreClient::from_provider_metadata(
            metadata.value.clone(),
            self.client_id.clone(),
            self.client_secret.clone(),
        )
        .set_redirect_uri(self.callback.clone());
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            // The library adds `openid` itself.
            .add_scopes(self.scope.iter().filter(|scope| scope.as_str() != "openid").cloned())
            .set_pkce_challenge(challenge);
        for (name, value) in &self.params {
            request = request.add_extra_param(name, value);
        }
        let (url, state, nonce) = request.url();
        let pending = Pending {
            state: state.into_secret(),
            nonce: nonce.secret().clone(),
            verifier: verifier.into_secret(),
        };
        Ok((url, pending))
    }

    pub(super) async fn finish(
        &self,
        code: &str,
        issuer: Option<&str>,
        pending: &Pending,
    ) -> Result<Profile, ProviderError> {
        let mut version = self.metadata(Wanted::Any).await?;
        if issuer.is_some_and(|issuer| issuer != version.value.issuer().as_str()) {
            return Err(ProviderError::Unproven("the callback is from another provider"));
        }
        let answer = self.exchange(&version.value, code, pending).await?;
        let id_token = answer.id_token();
        let id_token = id_token.ok_or(ProviderError::Unproven("the response has no ID token"))?;
        let nonce = Nonce::new(pending.nonce.clone());
        let mut verified = self.verify(&version.value, id_token, &answer, &nonce);
        if verified == Err(VerificationFailure::Key) {
            version = self.metadata(Wanted::After(version.number)).await?;
            verified = self.verify(&version.value, id_token, &answer, &nonce);
        }
        verified.map_err(|doubt| match doubt {
            VerificationFailure::Key => {
                ProviderError::Unproven("the ID token names an unknown key")
            }
            VerificationFailure::Claim(reason) => ProviderError::Unproven(reason),
        })?;
        let mut profile = Profile::new(claims(id_token)?);
        self.require_ours(&profile)?;
        self.supplement(&version.value, &answer, &mut profile).await?;
        Ok(profile)
    }

    /// Exchanges the code for tokens.
    async fn exchange(
        &self,
        metadata: &CoreProviderMetadata,
        code: &str,
        pending: &Pending,
    ) -> Result<CoreTokenResponse, ProviderError> {
        let client = CoreClient::from_provider_metadata(
            metadata.clone(),
            self.client_id.clone(),
            self.client_secret.clone(),
        )
        .set_redirect_uri(self.callback.clone())
        .set_auth_type(auth_type(metadata));
        let send = |request| self.http.clone().send(request);
        client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|_| ProviderError::Unavailable("the provider has no token endpoint"))?
            .set_pkce_verifier(PkceCodeVerifier::new(pending.verifier.clone()))
            .request_async(&send)
            .await
            .map_err(|error| match error {
                RequestTokenError::ServerResponse(refusal)
                    if *refusal.error() == CoreErrorResponseType::InvalidGrant =>
                {
                    ProviderError::Code
                }
                RequestTokenError::ServerResponse(_) => ProviderError::Unavailable(
                    "the provider refuses to issue tokens: is the client registered there?",
                ),
                RequestTokenError::Request(error) => error,
                _ => ProviderError::Unavailable("the response of the provider is invalid"),
            })
    }

    /// Checks the signature, issuer, audience, nonce, times and access token hash of an ID token.
    fn verify(
        &self,
        metadata: &CoreProviderMetadata,
        id_token: &CoreIdToken,
        answer: &CoreTokenResponse,
        nonce: &Nonce,
    ) -> Result<(), VerificationFailure> {
        let client = CoreClient::from_provider_metadata(
            metadata.clone(),
            self.client_id.clone(),
            self.client_secret.clone(),
        );
        let now = self.clock.now();
        let calendar = DateTime::<Utc>::from_timestamp_millis(now.millis()).unwrap_or_default();
        let verifier = client
            .id_token_verifier()
            // Regardless of the provider's metadata: no shared secrets, and never `none`.
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || calendar)
            .set_issue_time_verifier_fn(move |at| {
                let is_begun = at.timestamp() <= now.seconds() + AHEAD_SECONDS_MAX;
                if is_begun { Ok(()) } else { Err("issued in the future".to_owned()) }
            });
        let claims = id_token.claims(&verifier, nonce).map_err(|error| {
            VerificationFailure::Claim(match error {
                ClaimsVerificationError::SignatureVerification(
                    SignatureVerificationError::NoMatchingKey,
                ) => return VerificationFailure::Key,
                ClaimsVerificationError::Expired(_) => "the ID token has expired",
                ClaimsVerificationError::InvalidAudience(_) => {
                    "the ID token is for another audience"
                }
                ClaimsVerificationError::InvalidIssuer(_) => "the ID token is from another issuer",
                ClaimsVerificationError::InvalidNonce(_) => "the ID token has another nonce",
                ClaimsVerificationError::SignatureVerification(_) => {
                    "the signature of the ID token is invalid"
                }
                _ => "the ID token is invalid",
            })
        })?;
        if let Some(expected) = claims.access_token_hash() {
            let other =
                VerificationFailure::Claim("the access token does not belong to the ID token");
            let algorithm = id_token.signing_alg().map_err(|_| other)?;
            let key = id_token.signing_key(&verifier).map_err(|_| other)?;
            let found = AccessTokenHash::from_token(answer.access_token(), algorithm, key);
            if found.ok().as_ref() != Some(expected) {
                return Err(other);
            }
        }
        Ok(())
    }

    /// Rejects a token that is not valid yet or was issued to another client: the library checks
    /// neither `nbf` nor `azp`.
    fn require_ours(&self, profile: &Profile) -> Result<(), ProviderError> {
        if profile.get("azp").is_some_and(|client| client.as_str() != Some(self.client_id.as_str()))
        {
            return Err(ProviderError::Unproven("the ID token was issued to another client"));
        }
        let latest = self.clock.now().seconds() + AHEAD_SECONDS_MAX;
        match profile.get("nbf") {
            None => Ok(()),
            Some(begins) if begins.as_f64().is_some_and(|begins| begins <= whole(latest)) => Ok(()),
            Some(_) => Err(ProviderError::Unproven("the ID token is not valid yet")),
        }
    }

    /// Adds the claims of the userinfo endpoint, if the provider has one.
    async fn supplement(
        &self,
        metadata: &CoreProviderMetadata,
        answer: &CoreTokenResponse,
        profile: &mut Profile,
    ) -> Result<(), ProviderError> {
        let Some(url) = metadata.userinfo_endpoint() else { return Ok(()) };
        let token = answer.access_token().secret();
        let more: Map<String, Json> = self.http.clone().json(url.url(), Some(token)).await?;
        if more.get("sub") != profile.get("sub") {
            return Err(ProviderError::Unproven("the profile belongs to another user"));
        }
        profile.supplement(more);
        Ok(())
    }

    async fn metadata(
        &self,
        wanted: Wanted,
    ) -> Result<Arc<CachedVersion<CoreProviderMetadata>>, ProviderError> {
        let fetch = || discover(self.http.clone(), self.discovery.clone());
        self.metadata.get(wanted, &self.http, fetch).await
    }
}

/// Why an ID token was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum VerificationFailure {
    /// Its key is not in the cached key set, which may be outdated.
    Key,
    /// Any other reason.
    Claim(&'static str),
}

const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// Fetches the discovery document and the key set of a provider.
async fn discover(http: Http, discovery: Url) -> Result<CoreProviderMetadata, ProviderError> {
    let metadata: CoreProviderMetadata = http.clone().json(&discovery, None).await?;
    let issuer = metadata.issuer().as_str().trim_end_matches('/');
    if discovery.as_str().strip_suffix(DOCUMENT) != Some(issuer) {
        return Err(ProviderError::Unavailable("the discovery document is from another issuer"));
    }
    let urls = [
        Some(metadata.authorization_endpoint().url()),
        metadata.token_endpoint().map(TokenUrl::url),
        metadata.userinfo_endpoint().map(UserInfoUrl::url),
        Some(metadata.jwks_uri().url()),
    ];
    let is_fine = |url: &&Url| match url.scheme() {
        "https" => true,
        "http" => discovery.scheme() == "http",
        _ => false,
    };
    if !urls.iter().flatten().all(is_fine) {
        return Err(ProviderError::Unavailable("some endpoints of the provider do not use TLS"));
    }
    let keys: CoreJsonWebKeySet = http.json(metadata.jwks_uri().url(), None).await?;
    Ok(metadata.set_jwks(keys))
}

/// Returns the client authentication method for the token endpoint: HTTP Basic, unless the provider
/// supports `client_secret_post` but not `client_secret_basic`.
fn auth_type(metadata: &CoreProviderMetadata) -> AuthType {
    let methods = metadata.token_endpoint_auth_methods_supported();
    let takes = |method| methods.is_none_or(|methods| methods.contains(&method));
    if !takes(CoreClientAuthMethod::ClientSecretBasic)
        && takes(CoreClientAuthMethod::ClientSecretPost)
    {
        AuthType::RequestBody
    } else {
        AuthType::BasicAuth
    }
}

/// Returns all claims of a verified token. The library exposes only those it knows.
fn claims(id_token: &CoreIdToken) -> Result<Map<String, Json>, ProviderError> {
    let text = id_token.to_string();
    let payload = text.split('.').nth(1).unwrap_or_default();
    let bytes = BASE64URL_NOPAD.decode(payload.as_bytes()).ok();
    bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or(ProviderError::Unproven("the ID token cannot be read"))
}

#[expect(clippy::cast_precision_loss, reason = "today's timestamps in seconds need only 32 bits")]
const fn whole(seconds: i64) -> f64 {
    seconds as f64
}
