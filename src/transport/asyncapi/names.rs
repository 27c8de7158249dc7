//! Titles of the schemas. Code generators name types after the titles, and number the types of
//! schemas without one.

use serde_json::Map;
use serde_json::Value as Json;

/// Adds a title to each payload and schema, and to each nested object and enumeration.
pub(super) fn add(messages: &mut Map<String, Json>, schemas: &mut Json) {
    for (name, message) in messages {
        let title = format!("{}Frame", capitalised(name));
        message["payload"]["title"] = Json::from(title.as_str());
        entitle(&mut message["payload"], &title);
    }
    for (name, schema) in schemas.as_object_mut().into_iter().flatten() {
        entitle(schema, name);
    }
}

fn entitle(schema: &mut Json, title: &str) {
    let Json::Object(keywords) = schema else { return };
    let is_type = keywords.get("type").is_some_and(|ty| ty == "object")
        || keywords.contains_key("enum")
        || keywords.contains_key("anyOf");
    if is_type && !keywords.contains_key("title") {
        keywords.insert("title".to_owned(), Json::from(title));
    }
    let properties = keywords.get_mut("properties").and_then(Json::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        entitle(property, &format!("{title}{}", capitalised(name)));
    }
    if let Some(items) = keywords.get_mut("items") {
        entitle(items, &format!("{title}Item"));
    }
    let parts = keywords.get_mut("anyOf").and_then(Json::as_array_mut);
    parts.into_iter().flatten().for_each(|part| entitle(part, title));
}

/// Returns the type name for the name of a value: `user_created` becomes `UserCreated`.
fn capitalised(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect()
}
