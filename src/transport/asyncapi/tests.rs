//! Checks that the parts of the document fit together. Tests beside the parsers and encoders compare
//! it with them.

use serde_json::Value as Json;

use crate::transport::asyncapi::document::build;

#[test]
fn every_message_has_an_example_and_an_operation() {
    let document = build();
    let operations = document["operations"].to_string();

    for (name, message) in document["components"]["messages"].as_object().unwrap() {
        assert!(!message["examples"].as_array().unwrap().is_empty(), "{name}");
        assert!(operations.contains(&format!("/messages/{name}\"")), "{name}");
    }
}

#[test]
fn every_step_of_a_conversation_is_a_defined_message() {
    let document = build();
    let channels = &document["channels"];

    for conversation in document["x-conversations"].as_array().unwrap() {
        let channel = conversation["channel"].as_str().unwrap();
        for step in conversation["steps"].as_array().unwrap() {
            // Bob always uses the Directus socket.
            let channel = if step["by"].is_string() { "websocket" } else { channel };
            for key in ["send", "receive"] {
                if let Some(name) = step[key].as_str() {
                    assert!(channels[channel]["messages"].get(name).is_some(), "{name}");
                    let from = &document["components"]["messages"][name]["x-from"];
                    assert_eq!(from == "client", key == "send", "{name}");
                }
            }
        }
    }
}

#[test]
fn every_object_and_enum_has_a_unique_title() {
    fn walk(part: &Json, place: &str, titles: &mut Vec<String>) {
        let is_named = part["type"] == "object" && part["properties"].is_object();
        if is_named || part["enum"].is_array() {
            titles.push(part["title"].as_str().expect(place).to_owned());
        }
        match part {
            Json::Object(fields) => fields
                .iter()
                .for_each(|(name, part)| walk(part, &format!("{place}/{name}"), titles)),
            Json::Array(parts) => parts.iter().for_each(|part| walk(part, place, titles)),
            _ => {}
        }
    }
    let document = build();
    let mut titles = Vec::new();
    for (name, message) in document["components"]["messages"].as_object().unwrap() {
        walk(&message["payload"], name, &mut titles);
    }
    walk(&document["components"]["schemas"], "schemas", &mut titles);
    let all = titles.len();
    titles.sort_unstable();
    titles.dedup();

    assert_eq!(titles.len(), all);
    assert!(titles.iter().any(|title| title == "SubscriptionEventFrameEvent"), "{titles:?}");
}

#[test]
fn every_reference_resolves() {
    fn walk(document: &Json, part: &Json) {
        if let Some(path) = part["$ref"].as_str() {
            assert!(document.pointer(path.trim_start_matches('#')).is_some(), "{path}");
        }
        match part {
            Json::Object(fields) => fields.values().for_each(|part| walk(document, part)),
            Json::Array(parts) => parts.iter().for_each(|part| walk(document, part)),
            _ => {}
        }
    }
    let document = build();

    walk(&document, &document);
}
