//! Client-defined identifiers of requests and subscriptions.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Number;
use serde_json::value::RawValue;

use crate::transport::lone_surrogates;

/// The client's identifier of a request or subscription. It is echoed as it was sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Uid {
    /// Text.
    Text(String),
    /// A whole number, which has a single notation.
    Number(Number),
    /// Any other number.
    Written(Written),
}

/// A number in its original notation.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Written(Box<RawValue>);

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Uid {
    /// Returns the numeric `uid` of a frame as it was written, or `None` if it is longer than
    /// `bytes_max`. Used only for numbers that could be echoed differently (`1e2`), since it parses
    /// the frame again.
    pub(super) fn as_written(frame: &[u8], bytes_max: usize) -> Option<Self> {
        let frame = lone_surrogates::mend(frame);
        // The last of duplicate fields counts, as in the first parse.
        let fields: HashMap<String, &RawValue> = serde_json::from_slice(&frame).ok()?;
        let written = *fields.get("uid")?;
        (written.get().len() <= bytes_max).then(|| Self::Written(Written(written.to_owned())))
    }

    /// Returns the identifier as subscriptions store it: as text, with numbers as in JavaScript.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            // Below 1e15 both Rust and JavaScript write whole numbers as digits. JavaScript writes
            // -0 as 0.
            Self::Written(Written(written)) => match written.get().parse::<f64>() {
                Ok(float) if float.fract() == 0.0 && float.abs() < 1e15 => {
                    format!("{:.0}", float + 0.0)
                }
                Ok(float) => Number::from_f64(float).map_or_else(String::new, |it| it.to_string()),
                Err(_) => written.get().to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::transport::ws::directus::frames::Frame;

    #[test]
    fn a_uid_as_text_has_the_javascript_format() {
        for (uid, text) in [
            ("\"a\"", "a"),
            ("12", "12"),
            ("12.0", "12"),
            ("1e3", "1000"),
            ("1.5", "1.5"),
            ("-0", "0"),
        ] {
            let frame = format!(r#"{{"type":"ping","uid":{uid}}}"#);
            let frame = Frame::parse(frame.as_bytes(), 32).unwrap();

            assert_eq!(frame.uid().unwrap().to_text(), text);
        }
    }
}
