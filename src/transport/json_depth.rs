//! How deep a JSON text nests, told before it is parsed.
//!
//! A parser that builds a tree, and whatever walks that tree later, goes as deep as the text does.
//! This looks at brackets alone and at nothing else: whether the text is JSON is the parser's business.
//! How deep it may nest is the setting `JSON_DEPTH_MAX`.

/// Returns whether no bracket of the text is nested deeper than `depth_max` others.
#[must_use]
pub fn is_within(json: &[u8], depth_max: usize) -> bool {
    let mut depth = 0_usize;
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
            b'[' | b'{' => {
                depth += 1;
                if depth > depth_max {
                    return false;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> Vec<u8> {
        [b"[".repeat(depth), b"]".repeat(depth)].concat()
    }

    #[test]
    fn the_limit_itself_is_within() {
        assert!(is_within(&nested(32), 32));
        assert!(!is_within(&nested(33), 32));
    }

    #[test]
    fn objects_and_lists_count_alike() {
        assert!(is_within(br#"{"a":[{}]}"#, 3));
        assert!(!is_within(br#"{"a":[{"b":{}}]}"#, 3));
    }

    #[test]
    fn neighbours_do_not_add_up() {
        assert!(is_within(b"[{},{},{},[],[]]", 2));
    }

    #[test]
    fn brackets_within_text_do_not_count() {
        assert!(is_within(br#"["[[[[{{{{"]"#, 1));
        assert!(is_within(br#"["\"[[[["]"#, 1));
        assert!(!is_within(br#"["\\",[[]]]"#, 2));
    }

    #[test]
    fn closing_brackets_without_opening_ones_give_no_credit() {
        assert!(!is_within(b"]]]][[[", 2));
    }
}
