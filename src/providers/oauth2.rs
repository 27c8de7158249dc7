//! OAuth 2 without OpenID Connect, such as GitHub's: a code (with PKCE) is exchanged for a token,
//! and the token for a profile. The response of the profile endpoint identifies the user.

use ::oauth2::AuthUrl;
use ::oauth2::AuthorizationCode;
use ::oauth2::ClientId;
use ::oauth2::ClientSecret;
use ::oauth2::CsrfToken;
use ::oauth2::EndpointNotSet;
use ::oauth2::EndpointSet;
use ::oauth2::PkceCodeChallenge;
use ::oauth2::PkceCodeVerifier;
use ::oauth2::RedirectUrl;
use ::oauth2::RequestTokenError;
use ::oauth2::Scope;
use ::oauth2::TokenResponse;
use ::oauth2::TokenUrl;
use ::oauth2::basic::BasicClient;
use ::oauth2::basic::BasicErrorResponseType;
use url::Url;

use crate::config::ProviderConfig;
use crate::providers::{Http, Pending, Profile, ProviderError};

type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// An OAuth 2 provider.
pub struct OAuth2 {
    client: Client,
    profile: Url,
    scope: Vec<Scope>,
    params: Vec<(String, String)>,
    http: Http,
}

impl OAuth2 {
    /// Creates a provider. `urls` are its authorization, token and profile endpoints, and the
    /// callback.
    pub(super) fn new(config: &ProviderConfig, urls: [&Url; 4], http: Http) -> Self {
        let [authorize, access, profile, callback] = urls.map(Url::clone);
        let mut client = BasicClient::new(ClientId::new(config.client_id.clone()))
            .set_auth_uri(AuthUrl::from_url(authorize))
            .set_token_uri(TokenUrl::from_url(access))
            .set_redirect_uri(RedirectUrl::from_url(callback));
        if let Some(secret) = &config.client_secret {
            client = client.set_client_secret(ClientSecret::new(secret.0.clone()));
        }
        Self {
            client,
            profile,
            scope: config.scope.iter().cloned().map(Scope::new).collect(),
            params: config.params.clone(),
            http,
        }
    }

    pub(super) fn begin(&self) -> (Url, Pending) {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = self
            .client
            .authorize_url(CsrfToken::new_random)
            .add_scopes(self.scope.iter().cloned())
            .set_pkce_challenge(challenge);
        for (name, value) in &self.params {
            request = request.add_extra_param(name, value);
        }
        let (url, state) = request.url();
        // There is no ID token that could contain a nonce.
        let pending = Pending {
            state: state.into_secret(),
            nonce: String::new(),
            verifier: verifier.into_secret(),
        };
        (url, pending)
    }

    pub(super) async fn finish(
        &self,
        code: &str,
        pending: &Pending,
    ) -> Result<Profile, ProviderError> {
        let send = |request| self.http.clone().send(request);
        let answer = self
            .client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(pending.verifier.clone()))
            .request_async(&send)
            .await
            .map_err(|error| match error {
                RequestTokenError::ServerResponse(refusal)
                    if *refusal.error() == BasicErrorResponseType::InvalidGrant
                        || is_githubs(refusal.error()) =>
                {
                    ProviderError::Code
                }
                RequestTokenError::ServerResponse(_) => ProviderError::Unavailable(
                    "the provider refuses to issue tokens: is the client registered there?",
                ),
                RequestTokenError::Request(error) => error,
                _ => ProviderError::Unavailable("the response of the provider is invalid"),
            })?;
        let token = answer.access_token().secret();
        Ok(Profile::new(self.http.clone().json(&self.profile, Some(token)).await?))
    }
}

/// Returns whether this is GitHub's own error code for an invalid authorization code.
fn is_githubs(error: &BasicErrorResponseType) -> bool {
    matches!(error, BasicErrorResponseType::Extension(word) if word == "bad_verification_code")
}
