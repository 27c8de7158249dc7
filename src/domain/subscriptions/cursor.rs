//! Cursors: offsets in the event log as clients keep them. Opaque, short, valid for one database.
//!
//! A cursor is 16 bytes, as 22 characters of base64url: the number of the event, and a MAC over the
//! number and its instant under a key that only this database has. Cursors that are forged, come
//! from another database, or predate the restore of a backup are thus rejected. This only tells
//! whether a replay makes sense, since a cursor grants no access.

use data_encoding::BASE64URL_NOPAD;
use subtle::ConstantTimeEq;

use crate::domain::auth::mac::MacKey;
use crate::model::Place;

/// Number of bytes of the MAC in a cursor.
const MAC_BYTES: usize = 8;
/// The purpose of the key.
const PURPOSE: &[u8] = b"chinwag cursor";

/// Issues and verifies cursors.
pub(super) struct Cursors {
    key: MacKey,
}

/// A parsed cursor that is not verified yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claimed {
    /// The offset that it claims.
    pub(super) seq: i64,
    mac: [u8; MAC_BYTES],
}

impl Claimed {
    /// Parses a cursor. Returns `None` if the text does not have the format of one.
    pub(super) fn parse(cursor: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
        let (seq, mac) = bytes.split_first_chunk::<8>()?;
        let seq = i64::from_be_bytes(*seq);
        Some(Self { seq, mac: mac.try_into().ok()? }).filter(|claimed| claimed.seq >= 0)
    }
}

impl Cursors {
    /// Creates the cursors of the database with this seed.
    pub(super) fn new(seed: &str) -> Self {
        Self { key: MacKey::new(seed.as_bytes(), PURPOSE) }
    }

    /// Returns the cursor of a place. The result is always the same.
    pub(super) fn make(&self, place: Place) -> String {
        let mut bytes = [0; 8 + MAC_BYTES];
        bytes[..8].copy_from_slice(&place.seq.to_be_bytes());
        bytes[8..].copy_from_slice(&self.mac(place));
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// Returns whether this is the cursor of a place.
    pub(super) fn is_of(&self, claimed: &Claimed, place: Place) -> bool {
        claimed.seq == place.seq && self.mac(place).ct_eq(&claimed.mac).into()
    }

    fn mac(&self, place: Place) -> [u8; MAC_BYTES] {
        let message = [place.seq.to_be_bytes(), place.at.millis().to_be_bytes()].concat();
        *self.key.sign(&message).first_chunk().expect("a MAC of 32 bytes has 8")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn place(seq: i64, at: i64) -> Place {
        Place { seq, at: Timestamp::from_millis(at) }
    }

    #[test]
    fn a_cursor_is_bound_to_its_offset_time_and_database() {
        let cursors = Cursors::new("this");
        let cursor = cursors.make(place(7, 1000));
        let claimed = Claimed::parse(&cursor).unwrap();

        assert_eq!((cursor.len(), claimed.seq), (22, 7));
        assert_eq!(cursors.make(place(7, 1000)), cursor);
        assert!(cursors.is_of(&claimed, place(7, 1000)));
        assert!(!cursors.is_of(&claimed, place(8, 1000)));
        assert!(!cursors.is_of(&claimed, place(7, 1001)));
        assert!(!Cursors::new("other").is_of(&claimed, place(7, 1000)));
    }

    #[test]
    fn forged_and_malformed_cursors_are_refused() {
        let cursors = Cursors::new("this");
        let mut bytes = BASE64URL_NOPAD.decode(cursors.make(place(7, 1000)).as_bytes()).unwrap();
        bytes[7] = 8;
        let bent = Claimed::parse(&BASE64URL_NOPAD.encode(&bytes)).unwrap();

        assert!(!cursors.is_of(&bent, place(8, 1000)));
        for text in ["", "x", "7", "AAAAAAAAAAcAAAAAAAAAAA=", "_____________________w", "💬"] {
            assert_eq!(Claimed::parse(text), None, "{text}");
        }
    }
}
