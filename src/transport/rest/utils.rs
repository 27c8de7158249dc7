//! `/utils`: random text and hashes.

use poem::Response;
use serde_json::Value as Json;
use serde_json::json;

use crate::domain::Error;
use crate::transport::error::Refusal;
use crate::transport::rest::envelope;
use crate::transport::rest::fields::Text;
use crate::transport::rest::fields::body;
use crate::transport::rest::openapi::docs::operations;
use crate::transport::rest::openapi::parameters::parameter;
use crate::transport::rest::operation::{Reply, RequestContext};

/// 64 characters that need no escaping in URLs; six random bits select one.
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const LENGTH_DEFAULT: usize = 32;
const LENGTH_MAX: usize = 500;

operations! {
    /// Generate a random text
    ///
    /// The characters come from the random number generator of the operating system.
    GET "/utils/random/string" => now random, Anyone, TAG, "randomString"
        .with([parameter!(
            /// The number of characters, 1 to 500; 32 by default.
            query "length": {"type": "integer"} = 5
        )])
        .returns::<String>("Letters, digits, `-` and `_`.", json!("fabVJ"))
        .fails([out_of_range()])
        .secret();

    /// Hash a text
    ///
    /// Passwords are stored as hashes of this kind. The text and its hash are not stored.
    POST "/utils/hash/generate" => generate, Anyone, TAG, "generateHash"
        .takes::<HashInput>(json!({"string": "hello"}))
        .returns::<String>("The argon2id hash of the text.", json!(HASH))
        .secret();

    /// Compare a text with a hash
    ///
    /// The hash must be one that this server could have made.
    POST "/utils/hash/verify" => verify, Anyone, TAG, "verifyHash"
        .takes::<HashCheck>(json!({"string": "hello", "hash": HASH}))
        .returns::<bool>("The result.", json!(true))
        .secret();

    /// Clear caches
    ///
    /// Has no effect, since every change updates the caches. Exists for administration tools.
    POST "/utils/cache/clear" => now clear_cache, Administrators, TAG, "clearCache"
        .returns_status(200, "Done; there is nothing to clear.");
}

body! {
    struct HashInput {
        /// The text to hash.
        string: Text,
    }

    struct HashCheck {
        /// The text to compare.
        string: Text,
        /// The hash.
        hash: Text,
    }
}

fn random(call: &RequestContext) -> Response {
    let length = read_length(call.parameter("length").as_deref()).map_err(Refusal::from);
    let text = length.and_then(random_text).map(|text| envelope::data(&Json::from(text)));
    text.unwrap_or_else(|refusal| refusal.respond())
}

fn random_text(length: usize) -> Result<String, Refusal> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "no random numbers");
        Refusal::Internal
    })?;
    Ok(bytes.iter().map(|byte| char::from(URL_SAFE[usize::from(byte & 63)])).collect())
}

async fn generate(mut call: RequestContext) -> Reply {
    let HashInput { string } = call.object().await?;
    let hash = call.context.services.hashing.hash(&string.0).await?;
    Ok(envelope::data(&Json::from(hash)))
}

async fn verify(mut call: RequestContext) -> Reply {
    let HashCheck { string: Text(text), hash: Text(hash) } = call.object().await?;
    let hashing = &call.context.services.hashing;
    // Every caller may use this, so hashes that would take seconds are not verified.
    if !hashing.is_usual(&hash) {
        return Err(
            Error::payload("\"hash\" must be a hash that this server could have made").into()
        );
    }
    let fits = hashing.verify(&text, Some(&hash)).await?;
    Ok(envelope::data(&Json::from(fits)))
}

/// There is no cache to clear manually: all caches are invalidated by changes.
fn clear_cache(_: &RequestContext) -> Response {
    Response::builder().finish()
}

fn read_length(length: Option<&str>) -> Result<usize, Error> {
    let length = match length {
        None | Some("") => LENGTH_DEFAULT,
        Some(length) => length
            .parse()
            .map_err(|_| Error::InvalidQuery("\"length\" must be a number".to_owned()))?,
    };
    if (1..=LENGTH_MAX).contains(&length) { Ok(length) } else { Err(out_of_range()) }
}

fn out_of_range() -> Error {
    Error::InvalidQuery(format!("\"length\" must be between 1 and {LENGTH_MAX}"))
}

const TAG: &str = "Utilities";
const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0IGhlcmU$aGFzaCBvZiB0aGUgc3RyaW5nIGhlbGxv";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_from_1_to_500_and_defaults_to_32() {
        for (text, length) in [(None, 32), (Some(""), 32), (Some("1"), 1), (Some("500"), 500)] {
            assert_eq!(read_length(text).unwrap(), length, "{text:?}");
        }
        for refused in ["0", "501", "-1", "many", "1.5"] {
            assert!(read_length(Some(refused)).is_err(), "{refused}");
        }
    }
}
