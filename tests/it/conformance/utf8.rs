//! Text is UTF-8 as a whole, however it is fragmented (8.1).

use crate::conformance::case;
use crate::conformance::hold;
use crate::conformance::named;
use crate::conformance::{BINARY, ENDS, GOES_ON, Reply, TEXT, TEXT_BEGINS};
use crate::support::masked;

const NO_TEXT: Reply = Reply::Close(Some(1007));
const SECTION: &str = "8.1";

/// Characters of every encoded length, the limits of each, and noncharacters, which are allowed.
const TEXTS: [&str; 9] = [
    "κόσμε",
    "Hello-µ@ßöäüàá-UTF-8!!",
    "\u{80}\u{7ff}\u{800}\u{ffff}",
    "\u{10000}\u{10ffff}",
    "\u{d7ff}\u{e000}",
    "\u{fffd}\u{fffe}\u{1fffe}",
    "👩‍👩‍👧‍👦 🇩🇪",
    "e\u{301}\u{200b}\u{202e}",
    "\u{feff}",
];

/// Invalid UTF-8, each with the reason.
const NO_TEXTS: [(&str, &[u8]); 14] = [
    ("a continuation alone", b"\x80"),
    ("the last continuation alone", b"\xbf"),
    ("a lead byte without its continuation", b"\xce."),
    ("a slash in two bytes", b"\xc0\xaf"),
    ("a slash in three bytes", b"\xe0\x80\xaf"),
    ("a slash in four bytes", b"\xf0\x80\x80\xaf"),
    ("NUL in two bytes", b"\xc0\x80"),
    ("the first surrogate", b"\xed\xa0\x80"),
    ("the last surrogate", b"\xed\xbf\xbf"),
    ("a pair of surrogates", b"\xed\xa0\x80\xed\xb0\x80"),
    ("beyond the last code point", b"\xf4\x90\x80\x80"),
    ("five bytes", b"\xf8\x88\x80\x80\x80"),
    ("0xfe", b"\xfe"),
    ("0xff", b"\xff"),
];

#[tokio::test]
async fn valid_utf8_arrives_unchanged_under_any_fragmentation() {
    let mut cases = Vec::new();
    for text in TEXTS {
        let message = named(text);
        cases.push(case(SECTION, text, [masked(TEXT, &message)], [Reply::Named(text.to_owned())]));
        let last = message.len() - 1;
        let pieces = message.iter().enumerate().map(|(index, byte)| {
            let head = [GOES_ON, TEXT_BEGINS, ENDS];
            masked(head[usize::from(index == 0) + 2 * usize::from(index == last)], &[*byte])
        });
        let what = format!("{text}, split within characters");
        cases.push(case(SECTION, &what, pieces, [Reply::Named(text.to_owned())]));
    }
    hold(cases).await;
}

#[tokio::test]
async fn invalid_utf8_is_refused_at_the_end_of_its_frame() {
    let mut cases = Vec::new();
    for (why, bytes) in NO_TEXTS {
        let around = [b"\"", bytes, b"\""].concat();
        let begin = || masked(TEXT_BEGINS, b"\"\xce\xba");
        cases.push(case(SECTION, why, [masked(TEXT, &around)], [NO_TEXT]));
        cases.push(case(
            SECTION,
            &format!("{why}, in an unfinished message"),
            [begin(), masked(GOES_ON, &around)],
            [NO_TEXT],
        ));
        let pieces = bytes.iter().map(|byte| masked(GOES_ON, &[*byte]));
        cases.push(case(
            SECTION,
            &format!("{why}, split, in an unfinished message"),
            [begin()].into_iter().chain(pieces).chain([masked(GOES_ON, b"\"")]),
            [NO_TEXT],
        ));
        let what = format!("{why}, in a binary message");
        cases.push(case(SECTION, &what, [masked(BINARY, &around)], [Reply::Nonsense]));
    }
    for letter in ["\u{e9}", "\u{20ac}", "\u{10ffff}"] {
        let (_, part) = letter.as_bytes().split_last().unwrap();
        let what = format!("a message that ends within {letter:?}");
        cases.push(case(SECTION, &what, [masked(TEXT, part)], [NO_TEXT]));
        let sent = [masked(TEXT_BEGINS, part), masked(ENDS, b"")];
        cases.push(case(SECTION, &format!("{what}, fragmented"), sent, [NO_TEXT]));
    }
    hold(cases).await;
}
