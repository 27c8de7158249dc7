//! Unknown setting names that are built from the value of another setting. A name close to a known
//! one is reported as a probable misspelling.
//!
//! Only names with such a prefix are checked, since the environment holds the variables of other
//! programs too.

use crate::config::reader::Reader;

/// Maximum edit distance of a misspelling.
const SLIP_MAX: usize = 2;

/// Reports each name that begins with `prefix` and continues almost like one of `known`, suggesting
/// the latter. Returns the other unknown names. Skips names that begin with one of `others` that is
/// longer than the prefix.
pub fn report(from: &mut Reader, prefix: &str, others: &[String], known: &[&str]) -> Vec<String> {
    let is_of_others =
        |name: &str| others.iter().any(|it| it.len() > prefix.len() && name.starts_with(it));
    let mut unknown = Vec::new();
    for name in from.names_with(prefix) {
        let rest = &name[prefix.len()..];
        if known.contains(&rest) || is_of_others(&name) {
            continue;
        }
        match nearest(rest, known) {
            Some(meant) => from.report(&name, None, format!("{prefix}{meant}: no such setting")),
            None => unknown.push(name),
        }
    }
    unknown
}

/// Returns the known name that was probably meant: a prefix or an extension of the given one, or
/// the closest one by edit distance.
fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |name: &str| {
        let is_part = name.starts_with(written) || written.starts_with(name);
        if is_part { SLIP_MAX } else { strsim::osa_distance(written, name) }
    };
    let (nearest, distance) =
        known.iter().map(|name| (*name, distance(name))).min_by_key(|(_, distance)| *distance)?;
    (distance <= SLIP_MAX && written.len() > SLIP_MAX).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_distinguished_from_an_unknown_one() {
        let known = ["SCOPE", "ICON", "CLIENT_ID", "CLIENT_SECRET", "ISSUER_URL", "MODE"];

        for (written, meant) in [
            ("SCPE", Some("SCOPE")),
            ("SCOEP", Some("SCOPE")),
            ("SCOPES", Some("SCOPE")),
            ("CLIENTID", Some("CLIENT_ID")),
            ("ISSUER", Some("ISSUER_URL")),
            ("ROLE_MAPPING", None),
            ("PROXY", None),
            ("", None),
            ("M", None),
        ] {
            assert_eq!(nearest(written, &known), meant, "{written}");
        }
    }
}
