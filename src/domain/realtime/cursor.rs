//! Places in the order of events as clients keep them: opaque, short, and of this database alone.
//!
//! A cursor is 16 bytes, as 22 characters of base64url: the number of the event and a MAC over that
//! and its instant, under a key that only this database has. So one that is made up, that comes from
//! another database, or from the time before a backup was restored, is recognised; nothing depends
//! on that but whether replaying makes sense, since a cursor gives no rights.

use data_encoding::BASE64URL_NOPAD;
use subtle::ConstantTimeEq;

use crate::domain::auth::mac::MacKey;
use crate::model::Place;

/// How many bytes of the MAC a cursor carries.
const MAC_BYTES: usize = 8;
/// What the key is for.
const PURPOSE: &[u8] = b"chinwag cursor";

/// Makes and checks cursors.
pub(super) struct Cursors {
    key: MacKey,
}

/// A cursor taken apart. Whether it is genuine is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claimed {
    /// The event it says it is behind.
    pub(super) seq: i64,
    mac: [u8; MAC_BYTES],
}

impl Claimed {
    /// Takes a cursor apart, or returns `None` if the text has not the shape of one.
    pub(super) fn parse(cursor: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
        let (seq, mac) = bytes.split_first_chunk::<8>()?;
        let seq = i64::from_be_bytes(*seq);
        Some(Self { seq, mac: mac.try_into().ok()? }).filter(|claimed| claimed.seq >= 0)
    }
}

impl Cursors {
    /// Returns the maker of cursors for the database with this seed.
    pub(super) fn new(seed: &str) -> Self {
        Self { key: MacKey::new(seed.as_bytes(), PURPOSE) }
    }

    /// Returns the cursor of a place: always the same one.
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
    fn a_cursor_is_of_its_place_its_moment_and_its_database() {
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
    fn what_was_made_up_is_recognised() {
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
