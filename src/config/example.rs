//! `.env.example`: all settings with their explanations, generated from the tables.

use crate::config::Config;

/// Maximum length of a line.
const WIDTH: usize = 104;

const INTRODUCTION: &str = "\
# The settings of chinwag. Copy this file to `.env` in the working directory of the server, or set the
# same names in the environment, which takes precedence. Commented-out settings show the default; an
# empty value counts as not set. Names are those of Directus where it has one.
#
# Durations take a unit (500ms, 10s, 15m, 12h, 7d); a plain number has the unit that Directus uses,
# which is given below. Sizes take b, kb, mb or gb; a plain number is in bytes.
# `serve --demo` and `serve --public DIR` are given on the command line only.";

const PROVIDERS: &str = "
## For each <NAME> of AUTH_PROVIDERS, in capitals. The provider has to allow
## PUBLIC_URL/auth/login/<name>/callback as a redirect URI.
##";

/// Returns the text of `.env.example`.
#[must_use]
pub fn env_example() -> String {
    let mut lines = vec![INTRODUCTION.to_owned()];
    let (mut heading, mut is_in_table) = ("", false);
    for setting in Config::settings() {
        if setting.heading != heading {
            heading = setting.heading;
            lines.push(format!("\n{:#<99}", format!("## {heading} ")));
        }
        let default = if setting.is_derived { "" } else { &setting.default };
        let (name, explanation) = (&setting.name, setting.explanation());
        if setting.is_per_provider() {
            lines.extend((!is_in_table).then(|| PROVIDERS.to_owned()));
            let colon = if default.is_empty() { "" } else { ": " };
            lines.push(format!("## {name:38} {default}{colon}{explanation}"));
        } else {
            lines.push(format!("\n{}\n# {name}={default}", comment(&explanation)));
        }
        is_in_table = setting.is_per_provider();
    }
    lines.join("\n") + "\n"
}

/// Breaks a text into the lines of a comment.
fn comment(text: &str) -> String {
    let (mut comment, mut width) = ("#".to_owned(), 1);
    for word in text.split(' ') {
        let length = 1 + word.chars().count();
        if width + length > WIDTH {
            comment.push_str("\n#");
            width = 1;
        }
        comment.push(' ');
        comment.push_str(word);
        width += length;
    }
    comment
}
