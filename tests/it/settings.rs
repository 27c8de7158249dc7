//! `.env.example` is generated from the tables of settings: the same names and defaults as in the
//! program, in the same order, each with an explanation.

use chinwag::config::Config;
use chinwag::config::env_example;

const MANUAL: &str = include_str!("../../.env.example");

/// Returns the setting of a line, and its default.
fn find_setting(line: &str) -> Option<(&str, &str)> {
    let (name, default) = line.strip_prefix("# ")?.split_once('=')?;
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    is_name.then_some((name, default))
}

#[test]
fn the_manual_is_up_to_date() {
    assert!(MANUAL == env_example(), ".env.example: run make env-example");
}

#[test]
fn the_manual_shows_every_setting_with_its_default() {
    let shown: Vec<_> = MANUAL.lines().filter_map(find_setting).collect();

    let known = Config::settings();
    let (of_providers, known): (Vec<_>, Vec<_>) =
        known.iter().partition(|setting| setting.is_per_provider());
    let known = known.iter().map(|setting| {
        // A default that depends on other settings is part of the explanation.
        let default = if setting.is_derived { "" } else { &setting.default };
        (setting.name.as_str(), default)
    });
    assert_eq!(shown, known.collect::<Vec<_>>());
    assert_eq!(of_providers.len(), 22);
    for setting in of_providers {
        assert!(MANUAL.contains(&format!("## {} ", setting.name)), "{}", setting.name);
    }
}

#[test]
fn every_setting_is_declared_once() {
    let settings = Config::settings();

    for (index, setting) in settings.iter().enumerate() {
        let again = settings[..index].iter().any(|earlier| earlier.name == setting.name);
        assert!(!again && !setting.explanation().is_empty(), "{}", setting.name);
    }
}

#[test]
fn the_manual_explains_every_setting() {
    let lines: Vec<_> = MANUAL.lines().collect();

    for (index, line) in lines.iter().enumerate() {
        let Some((name, _)) = find_setting(line) else { continue };
        let before = lines[..index].iter().rev();
        let explanation: Vec<_> = before.take_while(|line| line.starts_with("# ")).collect();
        assert!((1..=3).contains(&explanation.len()), "{name} has {explanation:?}");
        assert!(explanation.iter().all(|line| find_setting(line).is_none()), "{name}");
    }
}

#[test]
fn every_setting_in_the_manual_is_commented_out() {
    let set = MANUAL.lines().find(|line| !line.is_empty() && !line.starts_with('#'));

    assert_eq!(set, None);
}

#[test]
fn every_default_in_the_manual_is_valid() {
    let read = Config::from_texts(MANUAL.lines().filter_map(find_setting)).unwrap();

    assert_eq!(read.server.port, 8055);
    // The only setting for which an empty value has a meaning.
    assert_eq!(read.bootstrap.public_user.as_deref(), Some(""));
}
