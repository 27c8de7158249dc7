//! Estimates the memory of JSON before it is parsed.
//!
//! A parsed tree takes many times as much memory as its text: `[0]` has three bytes, but allocates
//! a list. The estimate counts brackets, commas and colons, and is an upper bound: each object
//! counts as if it were an item, including the row that is made of it.

/// Size of a list, which has an initial capacity of four values.
const LIST: usize = 320;
/// Size of an object, and of the row that is made of it.
const OBJECT: usize = 800;
/// Size of a value in a list or object, whose capacity doubles as it grows.
const VALUE: usize = 144;
/// Size of a field name.
const NAME: usize = 120;

/// Returns an upper bound for the parsed size of JSON, in bytes.
#[must_use]
pub fn of_tree(json: &[u8]) -> usize {
    let mut bytes = json.len() + VALUE;
    let mut in_text = false;
    let mut escaped = false;
    for byte in json {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'[' => bytes += LIST,
            b'{' => bytes += OBJECT,
            b',' => bytes += VALUE,
            b':' => bytes += NAME,
            _ => {}
        }
    }
    bytes
}

/// Returns an upper bound for the parsed size of a query string, in bytes. Bracket syntax and JSON
/// count, percent-encoded or not.
#[must_use]
pub fn of_query(query: &[u8]) -> usize {
    let mut bytes = 2 * query.len();
    for (place, byte) in query.iter().enumerate() {
        let meant = match (byte, query.get(place + 1..place + 3)) {
            (b'%', Some(b"5B" | b"5b")) => b'[',
            (b'%', Some(b"7B" | b"7b")) => b'{',
            (b'%', Some(b"2C" | b"2c")) => b',',
            (byte, _) => *byte,
        };
        match meant {
            b'[' | b'{' | b'&' => bytes += LIST + NAME,
            b',' => bytes += VALUE,
            _ => {}
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use crate::domain::memory::FREE;

    use super::*;

    /// Returns the approximate size of the parts of a value, without the value itself.
    fn behind(json: &Json) -> usize {
        const SLOT: usize = size_of::<Json>();
        // Allocators round up.
        let text = |text: &str| text.len().next_multiple_of(16);
        match json {
            Json::Array(values) => {
                let slots = values.capacity() * SLOT;
                slots + values.iter().map(behind).sum::<usize>()
            }
            Json::Object(fields) => {
                let room =
                    if fields.is_empty() { 0 } else { (fields.len() + 1).next_power_of_two() };
                // A hash, a name and a value for each slot, and a slot in the hash table.
                let slots = room * (8 + 24 + SLOT + 16) + 32;
                let parts = fields.iter().map(|(name, value)| text(name) + behind(value));
                slots + parts.sum::<usize>()
            }
            Json::String(value) => text(value),
            Json::Null | Json::Bool(_) | Json::Number(_) => 0,
        }
    }

    fn tree(text: &str) -> usize {
        size_of::<Json>() + behind(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn the_tree_estimate_covers_small_texts_with_large_trees() {
        for part in
            ["[0]", "[]", "{}", "0", "\"a\"", "{\"a\":0}", "{\"a\":[0],\"b\":null}", "[[[]]]"]
        {
            let text = format!("[{}{part}]", format!("{part},").repeat(5000));
            let (told, real) = (of_tree(text.as_bytes()), tree(&text));

            assert!(told >= real, "{part}: {told} < {real}");
            // Nor is the estimate far too high. The rows of items are not part of the tree.
            assert!(told <= 8 * real + 5001 * OBJECT, "{part}: {told} > {real}");
        }
    }

    #[test]
    fn brackets_within_strings_do_not_count() {
        let text = format!("{{\"content\":\"{}\"}}", r#"[[[{{{,,,:::\"[[["#.repeat(1000));

        assert!(of_tree(text.as_bytes()) < text.len() + 2000);
    }

    fn json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<i32>().prop_map(Json::from),
            ".{0,20}".prop_map(Json::from),
        ];
        leaf.prop_recursive(5, 200, 12, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..12).prop_map(Json::from),
                prop::collection::btree_map(".{0,8}", inner, 0..12)
                    .prop_map(|fields| fields.into_iter().collect()),
            ]
        })
    }

    #[test]
    fn no_tree_exceeds_its_estimate() {
        proptest!(|(json in json())| {
            let text = json.to_string();
            prop_assert!(of_tree(text.as_bytes()) >= tree(&text), "{}", text);
        });
    }

    #[test]
    fn only_large_queries_have_a_large_estimate() {
        let usual = "fields[]=id&fields[]=content&sort=-id&limit=20&filter[user_created][_eq]=5";
        let encoded = "filter=%7B%22id%22%3A%7B%22_in%22%3A%5B1%2C2%5D%7D%7D";

        assert!(of_query(usual.as_bytes()) < FREE);
        assert!(of_query(encoded.as_bytes()) > 3 * LIST);
        assert!(of_query("[0],".repeat(7000).as_bytes()) > 3 << 20);
        assert!(of_query("%5B0%5D%2C".repeat(3000).as_bytes()) > 1 << 20);
    }
}
