//! The names that clients give their requests and subscriptions.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Number;
use serde_json::value::RawValue;

use crate::transport::lone_surrogates;

/// The client's name for a request or subscription: it comes back as it was sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Uid {
    /// Text.
    Text(String),
    /// A whole number, of which there is one way to write it.
    Number(Number),
    /// Any other number.
    Written(Written),
}

/// A number as it was written.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Written(Box<RawValue>);

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Uid {
    /// Returns the name as it stands in a frame, whose name is known to be a number; `None` if it has
    /// more bytes than it may. To be asked for what would come back in another form (`1e2`), since it
    /// reads the frame a second time.
    pub(super) fn as_written(frame: &[u8], bytes_max: usize) -> Option<Self> {
        let frame = lone_surrogates::mend(frame);
        // Of fields that come twice the last one counts, here as there.
        let fields: HashMap<String, &RawValue> = serde_json::from_slice(&frame).ok()?;
        let written = *fields.get("uid")?;
        (written.get().len() <= bytes_max).then(|| Self::Written(Written(written.to_owned())))
    }

    /// Returns the name as text, as subscriptions have it: a number as JavaScript writes it.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            // Up to this size both write whole numbers as digits; JavaScript has no -0 there.
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
    fn a_uid_as_text_is_what_javascript_writes() {
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
