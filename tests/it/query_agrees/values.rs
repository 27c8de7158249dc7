//! Values of rows and filters, from small pools, so that filters often match or almost match.

use chinwag::clock::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value as Json;
use serde_json::json;
use time::UtcOffset;
use uuid::Uuid;

/// Texts with common edge cases: case, empty, wildcards, quotes, other scripts, numbers, blanks.
const TEXTS: [&str; 22] = [
    "",
    "a",
    "A",
    "ab",
    "Abc",
    "100%",
    "a_c",
    "it's",
    "ä",
    "Ä",
    "a\u{308}",
    "你好",
    "12",
    " 12 ",
    "null",
    "Ann",
    "ann",
    "Аня",
    "аНЯ",
    "STRASSE",
    "straße",
    "Νίκος",
];

/// Parts of other texts: letters of one and of several bytes, with and without case, combining
/// marks, and characters with a special meaning in SQL and JSON.
const PIECES: [&str; 44] = [
    "a",
    "A",
    "b",
    "B",
    "z",
    "1",
    "2",
    " ",
    "\n",
    "%",
    "_",
    "'",
    "\"",
    "\\",
    "*",
    ",",
    "ä",
    "Ä",
    "ß",
    "ẞ",
    "ss",
    "İ",
    "ı",
    "i",
    "e\u{301}",
    "é",
    "E",
    "你",
    "好",
    "🎉",
    "Привет",
    "ПРИВЕТ",
    "Й",
    "и\u{306}",
    "ΑΣ",
    "ας",
    "ασ",
    "ﬁ",
    "fi",
    "\u{212a}",
    "k",
    "\u{345}",
    "\u{301}",
    "각",
];

/// Edge cases of instants, in milliseconds: now, the epoch, years, leap days, the hour that is
/// skipped in Europe, the far future.
const INSTANTS: [i64; 9] = [
    1_769_860_800_000,
    1_769_774_400_000,
    1_769_947_200_000,
    0,
    951_782_400_000,
    1_709_164_800_000,
    1_735_689_600_000,
    1_711_846_800_000,
    4_102_444_800_000,
];

const HOUR: i64 = 3_600_000;

pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        select(TEXTS.to_vec()).prop_map(str::to_owned),
        vec(select(PIECES.to_vec()), 1..6).prop_map(|pieces| pieces.concat()),
    ]
}

/// A number that a key can be: small ones, and some that a float cannot represent.
pub fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => -3..24_i64,
        1 => select(vec![-(1 << 53) - 1, (1 << 53) + 1, (1 << 53) + 2, 1 << 62]),
    ]
}

/// An instant, in milliseconds.
pub fn instant() -> impl Strategy<Value = i64> {
    let shifts = select(vec![0, 0, 1, -1, 999, -1000, HOUR, -2 * HOUR, 12 * HOUR, 36 * HOUR]);
    prop_oneof![
        4 => (select(INSTANTS.to_vec()), shifts).prop_map(|(at, by)| at + by),
        1 => -315_619_200_000..2_840_140_800_000_i64,
    ]
}

/// One of a few identifiers.
pub fn id() -> impl Strategy<Value = Uuid> {
    (1..7_u128).prop_map(|number| Uuid::from_u128(number << 64 | 0xabc))
}

/// A date as clients write it: an instant in some time zone and format, or relative to now.
pub fn date() -> impl Strategy<Value = Json> {
    let variables = select(vec![
        "$NOW",
        "$NOW(-1 day)",
        "$NOW(+1 day)",
        "$NOW(+2 hours)",
        "$NOW(-1 month)",
        "$NOW(-2 years)",
        "$NOW(-1 ms)",
    ]);
    let zones = select(vec![None, Some("Z"), Some("+02:00"), Some("-0930"), Some("+14")]);
    let forms = select(vec!["milliseconds", "seconds", "minutes", "date"]);
    prop_oneof![
        3 => (instant(), zones, forms).prop_map(|(at, zone, form)| json!(written(at, zone, form))),
        1 => variables.prop_map(|variable| json!(variable)),
    ]
}

fn written(at: i64, zone: Option<&str>, form: &str) -> String {
    let (hours, minutes) = match zone {
        Some("+02:00") => (2, 0),
        Some("-0930") => (-9, -30),
        Some("+14") => (14, 0),
        _ => (0, 0),
    };
    let at = Timestamp::from_millis(at).to_calendar().unwrap();
    let at = at.to_offset(UtcOffset::from_hms(hours, minutes, 0).unwrap());
    let date = at.date();
    let (hour, minute, second, milli) = at.time().as_hms_milli();
    let time = match form {
        "date" => return date.to_string(),
        "minutes" => format!("{hour:02}:{minute:02}"),
        "seconds" => format!("{hour:02}:{minute:02}:{second:02}"),
        _ => format!("{hour:02}:{minute:02}:{second:02}.{milli:03}"),
    };
    format!("{date}T{time}{}", zone.unwrap_or_default())
}
