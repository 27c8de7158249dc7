//! JSON within a text, as in a URL, or plain JSON, as in a body.

use std::borrow::Cow;

use serde_json::Value as Json;

use crate::query::QueryError;
use crate::text::json::check;

/// Parses a text as JSON, and returns any other JSON unchanged; `None` for a text that is not JSON.
///
/// # Errors
/// If the text has numbers that would be rounded.
pub fn unfold(json: &Json) -> Result<Option<Cow<'_, Json>>, QueryError> {
    let Json::String(text) = json else { return Ok(Some(Cow::Borrowed(json))) };
    // The parser has a nesting limit of its own.
    check(text.as_bytes(), usize::MAX).map_err(|unfit| QueryError::invalid(unfit.to_string()))?;
    Ok(serde_json::from_str(text).ok().map(Cow::Owned))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_json_text_is_decoded_once() {
        let unfolded = |json| unfold(&json).unwrap().map(Cow::into_owned);

        assert_eq!(unfolded(json!("{\"a\":\"1\"}")), Some(json!({"a": "1"})));
        assert_eq!(unfolded(json!("\"1\"")), Some(json!("1")));
        assert_eq!(unfolded(json!(1)), Some(json!(1)));
        assert_eq!(unfolded(json!("{")), None);
        assert!(unfold(&json!("{\"a\":123456789012345678901234567890}")).is_err());
    }
}
