//! Suggestions for unknown names of settings.

/// Maximum edit distance of a misspelling.
const DISTANCE_MAX: usize = 2;

/// Maximum number of suggestions.
const SUGGESTIONS_MAX: usize = 5;

/// Returns the known name that was probably meant: a prefix or an extension of the given one, or
/// the closest one by edit distance.
pub fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |name: &str| {
        let is_part = name.starts_with(written) || written.starts_with(name);
        if is_part { DISTANCE_MAX } else { strsim::osa_distance(written, name) }
    };
    let (nearest, distance) =
        known.iter().map(|name| (*name, distance(name))).min_by_key(|(_, distance)| *distance)?;
    (distance <= DISTANCE_MAX && written.len() > DISTANCE_MAX).then_some(nearest)
}

/// Returns the names that contain the text or are close to it by edit distance, the closest first.
pub fn near<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let distance = |name: &str| {
        if name.contains(written) { DISTANCE_MAX } else { strsim::osa_distance(written, name) }
    };
    let mut near: Vec<(usize, &str)> = known.map(|name| (distance(name), name)).collect();
    near.retain(|(distance, _)| *distance <= DISTANCE_MAX.max(written.len() / 4));
    near.sort_by_key(|(distance, _)| *distance);
    near.into_iter().map(|(_, name)| name).take(SUGGESTIONS_MAX).collect()
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

    #[test]
    fn names_close_to_an_unknown_one_are_suggested() {
        let known = ["HOST", "PORT", "EMAIL_SMTP_HOST", "EMAIL_SMTP_PORT", "LOG_LEVEL"];

        for (written, expected) in [
            ("PROT", &["PORT"][..]),
            ("SMTP", &["EMAIL_SMTP_HOST", "EMAIL_SMTP_PORT"]),
            ("LOGLEVEL", &["LOG_LEVEL"]),
            ("COLOUR", &[]),
        ] {
            assert_eq!(near(written, known.into_iter()), expected, "{written}");
        }
    }
}
