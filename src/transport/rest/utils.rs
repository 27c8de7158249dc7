//! `/utils`: random text and hashes.

use std::future::ready;

use poem::Response;
use poem::http::Method;
use poem_openapi::registry::MetaSchema;
use serde_json::Value as Json;
use serde_json::json;

use crate::domain::Error;
use crate::transport::error::Refusal;
use crate::transport::rest::envelope;
use crate::transport::rest::fields;
use crate::transport::rest::fields::require_text_even_empty;
use crate::transport::rest::operation::Access;
use crate::transport::rest::operation::Content;
use crate::transport::rest::operation::Operation;
use crate::transport::rest::operation::OperationDocs;
use crate::transport::rest::operation::Reply;
use crate::transport::rest::operation::RequestContext;
use crate::transport::rest::operation::Success;
use crate::transport::rest::parameters;
use crate::transport::rest::schemas;

/// 64 characters that need no escaping in URLs; six random bits select one.
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const LENGTH_DEFAULT: usize = 32;
const LENGTH_MAX: usize = 500;

/// Returns the operations under `/utils`.
#[must_use]
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            Method::GET,
            "/utils/random/string",
            Access::Anyone,
            |call| Box::pin(ready(random(&call))),
            random_docs(),
        )
        .secret(),
        Operation::new(
            Method::POST,
            "/utils/hash/generate",
            Access::Anyone,
            |call| Box::pin(generate(call)),
            generate_docs(),
        )
        .secret(),
        Operation::new(
            Method::POST,
            "/utils/hash/verify",
            Access::Anyone,
            |call| Box::pin(verify(call)),
            verify_docs(),
        )
        .secret(),
        Operation::new(
            Method::POST,
            "/utils/cache/clear",
            Access::Administrators,
            |_| Box::pin(ready(Ok(clear_cache()))),
            clear_cache_docs(),
        ),
    ]
}

fn random(call: &RequestContext) -> Reply {
    let length = read_length(call.parameter("length").as_deref())?;
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "no random numbers");
        Refusal::Internal
    })?;
    let text = bytes.iter().map(|byte| char::from(URL_SAFE[usize::from(byte & 63)]));
    Ok(envelope::data(&Json::from(text.collect::<String>())))
}

async fn generate(mut call: RequestContext) -> Reply {
    let body = fields::object(call.body().await?)?;
    let hash =
        call.context.services.hashing.hash(require_text_even_empty(&body, "string")?).await?;
    Ok(envelope::data(&Json::from(hash)))
}

async fn verify(mut call: RequestContext) -> Reply {
    let body = fields::object(call.body().await?)?;
    let text = require_text_even_empty(&body, "string")?;
    let hash = require_text_even_empty(&body, "hash")?;
    let hashing = &call.context.services.hashing;
    // Every caller may use this, so hashes that would take seconds are not verified.
    if !hashing.is_usual(hash) {
        return Err(
            Error::payload("\"hash\" must be a hash that this server could have made").into()
        );
    }
    let fits = hashing.verify(text, Some(hash)).await?;
    Ok(envelope::data(&Json::from(fits)))
}

/// There is no cache to clear manually: all caches are invalidated by changes.
fn clear_cache() -> Response {
    Response::builder().finish()
}

fn read_length(length: Option<&str>) -> Result<usize, Error> {
    let length = match length {
        None | Some("") => LENGTH_DEFAULT,
        Some(length) => length
            .parse()
            .map_err(|_| Error::InvalidQuery("\"length\" must be a number".to_owned()))?,
    };
    if (1..=LENGTH_MAX).contains(&length) {
        Ok(length)
    } else {
        Err(Error::InvalidQuery(format!("\"length\" must be between 1 and {LENGTH_MAX}")))
    }
}

const TAG: &str = "Utilities";
const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0IGhlcmU$aGFzaCBvZiB0aGUgc3RyaW5nIGhlbGxv";

fn docs(
    id: &'static str,
    summary: &'static str,
    description: &'static str,
    success: Success,
) -> OperationDocs {
    OperationDocs { success, ..OperationDocs::new(TAG, id, summary, description) }
}

fn text(description: &'static str, example: &str) -> Success {
    let schema = MetaSchema::new("string");
    let schema = schemas::inline(schema);
    Success::json(description, schemas::data(schema), json!({"data": example}))
}

fn random_docs() -> OperationDocs {
    let description = "The number of characters, 1 to 500; 32 by default.";
    OperationDocs {
        parameters: vec![parameters::query("length", "integer", description, json!(5))],
        failures: vec![Error::InvalidQuery("\"length\" must be between 1 and 500".to_owned())],
        ..docs(
            "randomString",
            "Generate a random text",
            "The characters come from the random number generator of the operating system.",
            text("Letters, digits, `-` and `_`.", "fabVJ"),
        )
    }
}

fn generate_docs() -> OperationDocs {
    OperationDocs {
        request: Some(Content::json(schemas::reference("HashInput"), json!({"string": "hello"}))),
        failures: vec![Error::payload("\"string\" is required")],
        ..docs(
            "generateHash",
            "Hash a text",
            "Passwords are stored as hashes of this kind. The text and its hash are not stored.",
            text("The argon2id hash of the text.", HASH),
        )
    }
}

fn verify_docs() -> OperationDocs {
    let schema = MetaSchema::new("boolean");
    let schema = schemas::inline(schema);
    let success = Success::json("The result.", schemas::data(schema), json!({"data": true}));
    OperationDocs {
        request: Some(Content::json(
            schemas::reference("HashCheck"),
            json!({"string": "hello", "hash": HASH}),
        )),
        failures: vec![Error::payload("\"hash\" is required")],
        ..docs(
            "verifyHash",
            "Compare a text with a hash",
            "The hash must be one that this server could have made.",
            success,
        )
    }
}

fn clear_cache_docs() -> OperationDocs {
    let success = Success {
        content: None,
        ..Success::json("Done; there is nothing to clear.", schemas::any_item(), Json::Null)
    };
    docs(
        "clearCache",
        "Clear caches",
        "Has no effect, since every change updates the caches. Exists for administration tools.",
        success,
    )
}

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
