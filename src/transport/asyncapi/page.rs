//! The documentation page of the WebSocket protocol: the AsyncAPI document as one HTML text without
//! scripts. All content comes from the document.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::transport::asyncapi::document;

/// The style sheet of the page.
pub const STYLE: &str = include_str!("page.css");

/// The URL of the style sheet, relative to the page.
const STYLE_PATH: &str = "websocket.css";

/// Returns the page as HTML.
#[must_use]
pub fn page() -> String {
    Writer { document: document::build(), html: String::new() }.whole()
}

struct Writer {
    document: Json,
    html: String,
}

impl Writer {
    fn whole(mut self) -> String {
        let document = self.document.clone();
        let about = inline(&document["info"]["description"]);
        self.add(format_args!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta \
             name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" \
             content=\"light dark\">\n<title>chinwag WebSocket API</title>\n<link rel=\"icon\" \
             href=\"data:,\">\n<link rel=\"stylesheet\" href=\"{STYLE_PATH}\">\n</head>\n<body>\n\
             <header>\n<h1>chinwag WebSocket API</h1>\n<p>{about}</p>\n<p>Download: <a \
             href=\"../asyncapi.json\">asyncapi.json</a> (AsyncAPI {version}). See also: <a \
             href=\"../docs\">REST API</a>.</p>\n</header>\n",
            version = text(&document["asyncapi"]),
        ));
        self.contents();
        self.add(format_args!("<main>\n"));
        for (name, channel) in fields(&document["channels"]) {
            self.channel(name, channel);
        }
        self.errors();
        self.add(format_args!("</main>\n</body>\n</html>\n"));
        self.html
    }

    fn contents(&mut self) {
        let document = self.document.clone();
        self.add(format_args!("<nav aria-label=\"Contents\">\n<ul>\n"));
        for (name, channel) in fields(&document["channels"]) {
            let path = text(&channel["address"]);
            self.add(format_args!("<li><a href=\"#{name}\"><code>{path}</code></a>\n<ul>\n"));
            for (key, operation) in operations(&document, name) {
                let title = text(&operation["title"]);
                self.add(format_args!("<li><a href=\"#{key}\">{title}</a></li>\n"));
            }
            self.add(format_args!(
                "<li><a href=\"#{name}-conversations\">Conversations</a></li>\n<li><a \
                 href=\"#{name}-ends\">Close codes</a></li>\n</ul></li>\n"
            ));
        }
        self.add(format_args!("<li><a href=\"#errors\">Error codes</a></li>\n</ul>\n</nav>\n"));
    }

    fn channel(&mut self, name: &str, channel: &Json) {
        let document = self.document.clone();
        self.add(format_args!(
            "<section id=\"{name}\">\n<h2><code>{path}</code> {title}</h2>\n<p>{about}</p>\n",
            path = text(&channel["address"]),
            title = text(&channel["title"]),
            about = inline(&channel["description"]),
        ));
        let token = &channel["bindings"]["ws"]["query"]["properties"]["access_token"];
        self.add(format_args!(
            "<p><code>?access_token=…</code> in the address: {}</p>\n",
            inline(&token["description"])
        ));
        let mut shown: Vec<&str> = Vec::new();
        for (key, operation) in operations(&document, name) {
            self.add(format_args!(
                "<section id=\"{key}\">\n<h3>{title}</h3>\n<p>{about}</p>\n",
                title = text(&operation["title"]),
                about = inline(&operation["description"]),
            ));
            let messages =
                list(&operation["messages"]).chain(list(&operation["reply"]["messages"]));
            for reference in messages {
                let message = reference["$ref"].as_str().and_then(|path| path.rsplit('/').next());
                let Some(message) = message else { continue };
                if shown.contains(&message) {
                    let title = text(&document["components"]["messages"][message]["title"]);
                    self.add(format_args!(
                        "<p class=\"also\">Also: <a href=\"#{message}\">{title}</a></p>\n"
                    ));
                } else {
                    self.message(message);
                    shown.extend(document["components"]["messages"][message]["name"].as_str());
                }
            }
            self.add(format_args!("</section>\n"));
        }
        self.conversations(name);
        self.ends(name, channel);
        self.add(format_args!("</section>\n"));
    }

    fn message(&mut self, name: &str) {
        let message = self.document["components"]["messages"][name].clone();
        let (side, words) = match message["x-from"].as_str() {
            Some("client") => ("client", "client to server"),
            _ => ("server", "server to client"),
        };
        self.add(format_args!(
            "<article id=\"{name}\" class=\"{side}\">\n<h4>{title} <span \
             class=\"side\">{words}</span></h4>\n<p>{about}</p>\n",
            title = text(&message["title"]),
            about = inline(&message["summary"]),
        ));
        self.keys(&message["payload"]);
        for example in list(&message["examples"]) {
            let frame = frame(&example["payload"]);
            self.add(format_args!("<pre tabindex=\"0\"><code>{frame}</code></pre>\n"));
        }
        self.add(format_args!("</article>\n"));
    }

    /// Writes a table of the properties of an object.
    fn keys(&mut self, shape: &Json) {
        let required: Vec<&str> = list(&shape["required"]).filter_map(Json::as_str).collect();
        if fields(&shape["properties"]).next().is_none() {
            return;
        }
        self.add(format_args!(
            "<div class=\"table\" tabindex=\"0\" role=\"group\" aria-label=\"Keys\"><table>\n\
             <thead><tr><th scope=\"col\">key</th><th scope=\"col\">value</th><th \
             scope=\"col\">description</th></tr></thead>\n<tbody>\n"
        ));
        for (key, shape) in fields(&shape["properties"]) {
            let resolved = self.resolve(shape).clone();
            let optional = if required.contains(&key) { "" } else { " <em>optional</em>" };
            self.add(format_args!(
                "<tr><th scope=\"row\"><code>{key}</code>{optional}</th><td>{kind}</td>\
                 <td>{about}</td></tr>\n",
                key = escape(key),
                kind = self.kind(&resolved),
                about = inline(&resolved["description"]),
            ));
        }
        self.add(format_args!("</tbody>\n</table></div>\n"));
    }

    fn conversations(&mut self, channel: &str) {
        let document = self.document.clone();
        self.add(format_args!(
            "<section id=\"{channel}-conversations\">\n<h3>Conversations</h3>\n<p>Recorded with a \
             running service: <span class=\"to\">&gt;</span> is sent, <span \
             class=\"from\">&lt;</span> is received.</p>\n"
        ));
        for conversation in list(&document["x-conversations"]) {
            if conversation["channel"] != channel {
                continue;
            }
            let title = text(&conversation["title"]);
            self.add(format_args!("<h4>{title}</h4>\n<pre tabindex=\"0\" class=\"talk\"><code>"));
            for step in list(&conversation["steps"]) {
                self.step(step);
            }
            self.add(format_args!("</code></pre>\n"));
        }
        self.add(format_args!("</section>\n"));
    }

    fn step(&mut self, step: &Json) {
        if step.get("closed").is_some() {
            self.add(format_args!("<span class=\"aside\">(closed by the server)</span>\n"));
        } else if let Some(request) = step["rest"].as_str() {
            let body = step.get("body").map(frame).unwrap_or_default();
            self.add(format_args!(
                "<span class=\"aside\">(Bob: {} {body})</span>\n",
                escape(request)
            ));
        } else {
            let frame = frame(&step["frame"]);
            let (class, sign) =
                if step.get("send").is_some() { ("to", "&gt;") } else { ("from", "&lt;") };
            let by = step["by"].as_str().map(|by| format!("({}) ", escape(by))).unwrap_or_default();
            self.add(format_args!("<span class=\"{class}\">{by}{sign}</span> {frame}\n"));
        }
    }

    fn ends(&mut self, name: &str, channel: &Json) {
        self.add(format_args!("<section id=\"{name}-ends\">\n<h3>Close codes</h3>\n"));
        self.table(&["close code", "reason", "meaning"], &channel["x-close-codes"], |row| {
            let code = row["code"].as_u64().map_or("none".to_owned(), |code| code.to_string());
            vec![code, text(&row["reason"]), inline(&row["meaning"])]
        });
        self.add(format_args!("<p>The server can refuse an upgrade with these statuses:</p>\n"));
        self.table(&["status", "meaning"], &channel["x-refusals"], |row| {
            vec![row["status"].to_string(), inline(&row["meaning"])]
        });
        self.add(format_args!("</section>\n"));
    }

    fn errors(&mut self) {
        let codes =
            self.document["components"]["schemas"]["ErrorCode"]["x-enum-descriptions"].clone();
        self.add(format_args!(
            "<section id=\"errors\">\n<h2>Error codes</h2>\n<p>In <code>error.code</code> of an \
             error frame.</p>\n<dl>\n"
        ));
        for (code, meaning) in fields(&codes) {
            let meaning = inline(meaning);
            self.add(format_args!("<dt><code>{code}</code></dt><dd>{meaning}</dd>\n"));
        }
        self.add(format_args!("</dl>\n</section>\n"));
    }

    fn table(&mut self, heads: &[&str], rows: &Json, cells: impl Fn(&Json) -> Vec<String>) {
        let label = heads.first().copied().unwrap_or_default();
        self.add(format_args!(
            "<div class=\"table\" tabindex=\"0\" role=\"group\" \
             aria-label=\"{label}\"><table>\n<thead><tr>"
        ));
        for head in heads {
            self.add(format_args!("<th scope=\"col\">{head}</th>"));
        }
        self.add(format_args!("</tr></thead>\n<tbody>\n"));
        for row in list(rows) {
            self.add(format_args!("<tr>"));
            for cell in cells(row) {
                self.add(format_args!("<td>{cell}</td>"));
            }
            self.add(format_args!("</tr>\n"));
        }
        self.add(format_args!("</tbody>\n</table></div>\n"));
    }

    /// Resolves a reference.
    fn resolve<'a>(&'a self, shape: &'a Json) -> &'a Json {
        let path = shape["$ref"].as_str().map(|path| path.trim_start_matches('#'));
        path.and_then(|path| self.document.pointer(path)).unwrap_or(shape)
    }

    /// Returns a short description of the type of a value.
    fn kind(&self, shape: &Json) -> String {
        if let Some(choice) = shape["anyOf"].as_array() {
            let kinds: Vec<_> = choice.iter().map(|shape| self.kind(self.resolve(shape))).collect();
            return kinds.join(", ");
        }
        if let Some(only) = shape["const"].as_str() {
            return format!("<code>\"{}\"</code>", escape(only));
        }
        if let Some(choice) = shape["enum"].as_array() {
            if choice.len() > 10 {
                return "text".to_owned();
            }
            let choice = choice.iter().filter_map(Json::as_str);
            let choice: Vec<_> =
                choice.map(|one| format!("<code>\"{}\"</code>", escape(one))).collect();
            return choice.join(", ");
        }
        let names: Vec<&str> = match &shape["type"] {
            Json::Array(kinds) => kinds.iter().filter_map(Json::as_str).collect(),
            Json::String(kind) => vec![kind],
            _ => Vec::new(),
        };
        let names = names.into_iter().map(|name| match name {
            "string" => "text",
            "array" => "list",
            "boolean" => "true, false",
            other => other,
        });
        names.collect::<Vec<_>>().join(", ")
    }

    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        self.html.write_fmt(text).expect("writing to a `String` succeeds");
    }
}

/// Returns the operations of a channel.
fn operations<'a>(document: &'a Json, channel: &str) -> Vec<(&'a str, &'a Json)> {
    let path = format!("#/channels/{channel}");
    fields(&document["operations"])
        .filter(|(_, operation)| operation["channel"]["$ref"] == path.as_str())
        .collect()
}

fn list(json: &Json) -> impl Iterator<Item = &Json> {
    json.as_array().into_iter().flatten()
}

fn fields(json: &Json) -> impl Iterator<Item = (&str, &Json)> {
    json.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// Returns a frame in wire format; a plain text frame is not JSON. Allows line breaks at commas and
/// colons, since there are no spaces.
fn frame(payload: &Json) -> String {
    match payload {
        Json::String(text) => escape(text),
        other => escape(&other.to_string()).replace(',', ",<wbr>").replace(':', ":<wbr>"),
    }
}

fn text(json: &Json) -> String {
    escape(json.as_str().unwrap_or_default())
}

/// Converts a line of Markdown to HTML. The only markup in use is `code`.
fn inline(json: &Json) -> String {
    let text = text(json);
    let parts = text.split('`').enumerate();
    parts
        .map(
            |(place, part)| {
                if place % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }
            },
        )
        .collect()
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_the_document_is_escaped() {
        assert_eq!(escape(r#"<b title="x">&"#), "&lt;b title=&quot;x&quot;&gt;&amp;");
        assert_eq!(inline(&Json::from("`<a>` & b")), "<code>&lt;a&gt;</code> &amp; b");
    }

    #[test]
    fn the_page_shows_every_message_and_example() {
        let (page, document) = (page(), document::build());

        for (name, message) in fields(&document["components"]["messages"]) {
            assert_eq!(page.matches(&format!("<article id=\"{name}\"")).count(), 1, "{name}");
            for example in list(&message["examples"]) {
                assert!(page.contains(&frame(&example["payload"])), "{example}");
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
