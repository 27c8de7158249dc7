//! JSON that stands in a text, as the address of a request has it, beside JSON as a body has it.

use std::borrow::Cow;

use serde_json::Value as Json;

/// Returns what a text holds, or JSON that is no text as it is.
///
/// # Errors
/// If the text is not JSON.
pub fn unfold(json: &Json) -> serde_json::Result<Cow<'_, Json>> {
    match json {
        Json::String(text) => serde_json::from_str(text).map(Cow::Owned),
        json => Ok(Cow::Borrowed(json)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_unfolded_once() {
        assert_eq!(*unfold(&json!("{\"a\":\"1\"}")).unwrap(), json!({"a": "1"}));
        assert_eq!(*unfold(&json!("\"1\"")).unwrap(), json!("1"));
        assert_eq!(*unfold(&json!(1)).unwrap(), json!(1));
        assert!(unfold(&json!("{")).is_err());
    }
}
