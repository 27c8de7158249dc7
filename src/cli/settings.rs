//! `chinwag settings`: lists the settings in effect, with their explanations, defaults and errors.

use chinwag::config::{InvalidSetting, Listing, Setting, Source};
use clap::Args;
use serde_json::Value as Json;
use serde_json::json;

use crate::cli::Failure;
use crate::cli::output;

/// Maximum number of characters of a value in the list of all settings.
const CELL_MAX: usize = 32;

#[derive(Debug, Args)]
pub struct Settings {
    /// The name of one setting
    #[arg(conflicts_with = "example")]
    name: Option<String>,
    /// Print JSON
    #[arg(long, conflicts_with = "example")]
    json: bool,
    /// Print a `.env` with all settings, their explanations and defaults
    #[arg(long)]
    example: bool,
}

/// Prints the settings, or one of them.
pub fn settings(options: &Settings) -> Result<(), Failure> {
    if options.example {
        return output::print(&chinwag::config::env_example());
    }
    let listing = Listing::from_env();
    let text = match &options.name {
        None if options.json => format!("{:#}", list_json(&listing)),
        None => list(&listing),
        Some(name) => {
            let setting = listing.find(name).map_err(|near| unknown(name, &near))?;
            if options.json {
                format!("{:#}", to_json(&listing, setting))
            } else {
                explain(&listing, setting)
            }
        }
    };
    output::print(&text)
}

fn unknown(name: &str, near: &[&str]) -> Failure {
    let near = if near.is_empty() {
        "see chinwag settings".to_owned()
    } else {
        format!("did you mean {}?", near.join(", "))
    };
    Failure::of_argument(format!("there is no setting {name}: {near}"))
}

/// Renders all settings as a table, followed by the errors.
fn list(listing: &Listing) -> String {
    let rows = listing.settings.iter().map(|setting| {
        let (value, default) = (cell(setting.in_effect()), cell(&setting.default));
        [setting.name.clone(), value, default, setting.purpose()]
    });
    let table = output::table(["NAME", "VALUE", "DEFAULT", "PURPOSE"], &rows.collect::<Vec<_>>());
    let errors = listing.invalid.iter().map(|it| format!("invalid: {} {}\n", it.name, error(it)));
    errors.fold(table, |text, line| text + &line)
}

/// Renders one setting with all that is known of it.
fn explain(listing: &Listing, setting: &Setting) -> String {
    let (name, default, explanation) = (&setting.name, &setting.default, setting.explanation());
    let (value, origin) = (setting.in_effect(), origin(setting));
    let errors = listing.errors(name).map(|invalid| format!("invalid  {}\n", error(invalid)));
    let known =
        format!("{name}\n{explanation}\n\nvalue    {value} ({origin})\ndefault  {default}\n");
    errors.fold(known, |text, line| text + &line)
}

fn list_json(listing: &Listing) -> Json {
    let settings: Vec<Json> = listing.settings.iter().map(|it| to_json(listing, it)).collect();
    let errors = listing.invalid.iter().map(|it| json!({"name": it.name, "error": error(it)}));
    json!({"settings": settings, "errors": errors.collect::<Vec<_>>()})
}

fn to_json(listing: &Listing, setting: &Setting) -> Json {
    json!({
        "name": setting.name,
        "section": setting.heading,
        "purpose": setting.explanation(),
        "default": setting.default,
        "value": setting.in_effect(),
        "source": origin(setting),
        "secret": setting.is_secret,
        "errors": listing.errors(&setting.name).map(error).collect::<Vec<_>>(),
    })
}

fn error(invalid: &InvalidSetting) -> String {
    format!("should be {}", invalid.should)
}

const fn origin(setting: &Setting) -> &'static str {
    match setting.source {
        Source::Environment => "environment",
        Source::File => ".env",
        Source::Default => "default",
    }
}

fn cell(text: &str) -> String {
    match text.char_indices().nth(CELL_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Listing {
        Listing::from_texts([("PORT", "http"), ("ADMIN_PASSWORD", "hunter2")])
    }

    #[test]
    fn the_table_has_values_defaults_and_errors() {
        let table = list(&listing());

        let line = |start: &str| table.lines().find(|line| line.starts_with(start)).unwrap();
        let port: Vec<&str> = line("PORT ").split_whitespace().take(4).collect();
        assert_eq!(port, ["PORT", "http", "8055", "The"]);
        assert!(line("CORS_METHODS ").contains("GET,POST,PATCH,DELETE,SEARCH"));
        assert!(line("CORS_ALLOWED_HEADERS ").contains("Content-Type,Authorization,Idemp…"));
        assert_eq!(line("invalid: PORT"), "invalid: PORT should be a whole number from 0 to 65535");
        assert!(!table.contains("hunter2"), "{table}");
    }

    #[test]
    fn one_setting_is_shown_with_all_that_is_known() {
        let listing = listing();

        assert_eq!(
            explain(&listing, listing.find("port").unwrap()),
            "PORT\nThe port to listen on; 0 for any free one.\n\nvalue    http (environment)\n\
             default  8055\ninvalid  should be a whole number from 0 to 65535\n"
        );
        let json = to_json(&listing, listing.find("ADMIN_PASSWORD").unwrap());
        assert_eq!((&json["value"], &json["secret"]), (&json!("***"), &json!(true)));
        assert_eq!(json["errors"][0], "should be a text of at least 8 characters");
    }

    #[test]
    fn an_unknown_name_is_refused_with_suggestions() {
        let listing = listing();

        let refused = |name: &str| unknown(name, &listing.find(name).unwrap_err()).to_string();
        assert_eq!(refused("PROT"), "there is no setting PROT: did you mean PORT?");
        assert_eq!(refused("colour"), "there is no setting colour: see chinwag settings");
    }
}
