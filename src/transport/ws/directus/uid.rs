//! The names that clients give their requests and subscriptions.

use serde::Serialize;
use serde_json::Number;

/// The client's name for a request or subscription: it comes back as it was sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Uid {
    /// Text.
    Text(String),
    /// A number.
    Number(Number),
}

impl Uid {
    /// Returns the name as text, as subscriptions have it: a number as JavaScript writes it.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => match number.as_f64() {
                // Only floating-point numbers print with a fraction or exponent that JavaScript
                // leaves out; up to this size both write whole numbers as digits.
                Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
                    format!("{float:.0}")
                }
                _ => number.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;

    #[test]
    fn a_uid_as_text_is_what_javascript_writes() {
        for (uid, text) in
            [("\"a\"", "a"), ("12", "12"), ("12.0", "12"), ("1e3", "1000"), ("1.5", "1.5")]
        {
            let uid: Json = serde_json::from_str(uid).unwrap();
            let uid = match uid {
                Json::Number(number) => Uid::Number(number),
                Json::String(text) => Uid::Text(text),
                other => panic!("{other}"),
            };

            assert_eq!(uid.to_text(), text);
        }
    }
}
