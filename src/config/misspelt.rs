//! Names of settings that are made of another's value and mean nothing: a slip, most likely, if they
//! are nearly one that does.
//!
//! Only such names are looked at. Whatever else is in the environment may be anybody's.

use crate::config::settings::Settings;

/// How many letters a slip gets wrong at most.
const SLIP_MAX: usize = 2;

/// Reports each name that begins with `prefix` and goes on nearly like one of `known`, with that one.
/// Returns the others that mean nothing. Those that begin with one of `others`, which is longer than
/// the prefix, are not meant.
pub fn report(from: &mut Settings, prefix: &str, others: &[String], known: &[&str]) -> Vec<String> {
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

/// Returns the name that somebody will have meant: one that is begun or gone on with, or nearly the
/// same.
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
    fn a_slip_is_told_from_another_name() {
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
