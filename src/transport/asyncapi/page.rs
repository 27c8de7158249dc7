//! The documentation page of the WebSocket protocol: the AsyncAPI document as one HTML text without
//! scripts. All content comes from the document.

use minijinja::context;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, HtmlEscape};
use serde_json::Value as Json;

use crate::transport::asyncapi::document;

/// The style sheet of the page.
pub const STYLE: &str = include_str!("page.css");

/// The template of the page, in the language of Jinja.
const TEMPLATE: &str = include_str!("page.html");

/// Returns the page as HTML.
///
/// # Panics
/// If the template is invalid, which is a bug in this program.
#[must_use]
pub fn page() -> String {
    let document = document::build();
    let mut environment = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    environment.set_syntax(syntax.build().expect("the default delimiters are valid"));
    environment.add_filter("inline", inline);
    environment.add_filter("frame", frame);
    let context = context! { document => Value::from(Serde(resolved(&document, &document))) };
    environment.render_named_str("page.html", TEMPLATE, context).expect("the template is valid")
}

/// Returns a part of the document with all references replaced by their targets.
fn resolved(document: &Json, part: &Json) -> Json {
    if let Some(path) = part["$ref"].as_str() {
        let target = document.pointer(path.trim_start_matches('#'));
        return resolved(document, target.expect("a test follows all references"));
    }
    match part {
        Json::Array(parts) => parts.iter().map(|part| resolved(document, part)).collect(),
        Json::Object(fields) => {
            fields.iter().map(|(name, part)| (name.clone(), resolved(document, part))).collect()
        }
        other => other.clone(),
    }
}

/// Returns a frame in wire format; a plain text frame is not JSON. Allows line breaks at commas and
/// colons, since there are no spaces.
fn frame(payload: Serde<Json>) -> Value {
    let html = match payload.0 {
        Json::String(text) => escape(&text),
        json => escape(&json.to_string()).replace(',', ",<wbr>").replace(':', ":<wbr>"),
    };
    Value::from_safe_string(html)
}

/// Converts a line of Markdown to HTML. The only markup in use is `code`.
fn inline(markdown: Option<&str>) -> Value {
    let text = escape(markdown.unwrap_or_default());
    let parts = text.split('`').enumerate().map(|(place, part)| match place % 2 {
        0 => part.to_owned(),
        _ => format!("<code>{part}</code>"),
    });
    Value::from_safe_string(parts.collect())
}

fn escape(text: &str) -> String {
    HtmlEscape(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_the_document_is_escaped() {
        assert_eq!(escape(r#"<b title="x">&"#), "&lt;b title=&quot;x&quot;&gt;&amp;");
        assert_eq!(inline(Some("`<a>` & b")).to_string(), "<code>&lt;a&gt;</code> &amp; b");
    }

    #[test]
    fn the_page_shows_every_message_and_example() {
        let (page, document) = (page(), document::build());

        for (name, message) in document["components"]["messages"].as_object().unwrap() {
            assert_eq!(page.matches(&format!("<article id=\"{name}\"")).count(), 1, "{name}");
            for example in message["examples"].as_array().unwrap() {
                let frame = frame(Serde(example["payload"].clone())).to_string();
                assert!(page.contains(&frame), "{example}");
            }
        }
    }

    #[test]
    fn every_link_within_the_page_resolves() {
        let page = page();

        for (at, _) in page.match_indices("href=\"#") {
            let name = page[at + 7..].split('"').next().unwrap();
            assert_eq!(page.matches(&format!("id=\"{name}\"")).count(), 1, "{name}");
        }
    }
}
