//! Frames as clients send them, valid and invalid.

use serde_json::json;

use crate::transport::asyncapi;

use super::*;

fn parse(text: &str) -> Result<Frame, Invalid> {
    Frame::parse(text.as_bytes(), 32)
}

fn refusal(text: &str) -> (&'static str, String) {
    let invalid = parse(text).unwrap_err();
    (invalid.area, invalid.message)
}

fn items(text: &str) -> Items {
    match parse(text) {
        Ok(Frame::Items(items)) => *items,
        other => panic!("{other:?}"),
    }
}

#[test]
fn invalid_frames_are_rejected_with_area_and_reason() {
    let server = |message: &str| ("server", message.to_owned());
    let items = |message: &str| ("items", message.to_owned());
    let subscribe = |message: &str| ("subscribe", message.to_owned());
    let actions = "'create', 'read', 'update', 'delete'";
    for (text, refused) in [
        ("hello?", server("Unable to parse the incoming message.")),
        ("{\"type\":", server("Unable to parse the incoming message.")),
        ("", server("Unable to parse the incoming message.")),
        ("[]", server("Validation error: Expected object, received array")),
        ("null", server("Validation error: Expected object, received null")),
        ("12", server("Validation error: Expected object, received number")),
        (r#""text""#, server("Validation error: Expected object, received string")),
        (r#"{"a":1}"#, server("Validation error: Required, expected string at \"type\"")),
        (r#"{"type":5}"#, server("Validation error: Expected string, received number at \"type\"")),
        (
            r#"{"type":"ping","uid":{"a":1}}"#,
            server("Validation error: Expected string or number, received object at \"uid\""),
        ),
        (
            r#"{"type":"ping","uid":null}"#,
            server("Validation error: Expected string or number, received null at \"uid\""),
        ),
        (
            r#"{"type":"items","action":"read"}"#,
            items("Validation error: Required, expected string at \"collection\""),
        ),
        (
            r#"{"type":"items","collection":"messages"}"#,
            items("Validation error: Required, expected string at \"action\""),
        ),
        (
            r#"{"type":"items","collection":"messages","action":"juggle"}"#,
            items(&format!(
                "Validation error: Expected one of {actions}, received 'juggle' at \"action\""
            )),
        ),
        (
            r#"{"type":"items","collection":"messages","action":"read","ids":"x"}"#,
            items("Validation error: Expected array, received string at \"ids\""),
        ),
        (
            r#"{"type":"items","collection":"messages","action":"read","ids":[1,{}]}"#,
            items("Validation error: Expected strings or numbers, received object at \"ids\""),
        ),
        (
            r#"{"type":"items","collection":"messages","action":"read","query":"x"}"#,
            items("Validation error: Expected object, received string at \"query\""),
        ),
        (
            r#"{"type":"subscribe"}"#,
            subscribe("Validation error: Required, expected string at \"collection\""),
        ),
        (
            r#"{"type":"subscribe","collection":"messages","event":"sneeze"}"#,
            subscribe(
                "Validation error: Expected one of 'create', 'update', 'delete', received \
                 'sneeze' at \"event\"",
            ),
        ),
        (
            r#"{"type":"subscribe","collection":"messages","item":[]}"#,
            subscribe("Validation error: Expected string or number, received array at \"item\""),
        ),
    ] {
        assert_eq!(refusal(text), refused, "{text}");
    }
}

#[test]
fn an_error_has_the_uid_of_its_request() {
    let invalid = parse(r#"{"type":"items","uid":7}"#).unwrap_err();

    assert_eq!(invalid.uid, Some(Uid::Number(7.into())));
}

#[test]
fn a_frame_that_is_nested_too_deeply_is_rejected() {
    let deep = format!(r#"{{"type":"ping","x":{}{}}}"#, "[".repeat(32), "]".repeat(32));

    assert_eq!(refusal(&deep).1, "Validation error: Nested deeper than 32 levels");
}

#[test]
fn a_number_that_would_be_rounded_is_rejected_with_the_uid() {
    for number in ["123456789012345678901234567890", "1e400", "9007199254740993.0"] {
        let data = format!(r#""data":{{"content":{number}}}"#);
        let frame = format!(
            r#"{{"type":"items","collection":"messages","action":"create",{data},"uid":7}}"#
        );
        let invalid = parse(&frame).unwrap_err();

        let reason = format!("The number {number} would be rounded: send it as a string");
        assert_eq!(invalid.message, format!("Validation error: {reason}"));
        assert_eq!(invalid.uid, Some(Uid::Number(7.into())));
    }
    let frame = items(
        r#"{"type":"items","collection":"messages","action":"create",
            "data":{"content":9007199254740993}}"#,
    );
    assert_eq!(frame.data.to_string(), r#"{"content":9007199254740993}"#);
}

#[test]
fn the_length_of_a_uid_is_limited() {
    let long = format!(r#"{{"type":"ping","uid":"{}"}}"#, "x".repeat(1025));

    assert_eq!(refusal(&long).1, "Validation error: Longer than 1024 bytes at \"uid\"");
    let long = format!(r#"{{"type":"ping","uid":1.{}}}"#, "0".repeat(1023));
    assert_eq!(refusal(&long).1, "Validation error: Longer than 1024 bytes at \"uid\"");
}

#[test]
fn an_unknown_type_is_ignored_and_a_pong_is_recognized() {
    assert_eq!(parse(r#"{"type":"juggle","uid":"x"}"#), Ok(Frame::Other));
    assert_eq!(parse(r#"{"type":"pong"}"#), Ok(Frame::Pong));
}

#[test]
fn a_uid_is_echoed_verbatim() {
    let long = "12345678901234567890.0e-0123456789";
    for uid in ["\"abc\"", "42", "0", "-1", "1.5", "\"\"", "1e2", "-0", "1.0", "1E+2", long] {
        let frame = parse(&format!(r#"{{"uid":7,"type":"ping","\u0075id":{uid},"x":"\ud800"}}"#));

        let Ok(Frame::Ping(Some(echo))) = frame else { panic!("{frame:?}") };
        assert_eq!(serde_json::to_string(&echo).unwrap(), uid);
    }
}

#[test]
fn lone_surrogates_become_replacement_characters() {
    let frame = items(
        r#"{"type":"items","collection":"messages","action":"create",
            "data":{"content":"cut \ud83d"},"uid":"cut \ud83d"}"#,
    );

    assert_eq!(frame.data, json!({"content": "cut \u{fffd}"}));
    assert_eq!(frame.uid, Some(Uid::Text("cut \u{fffd}".to_owned())));
}

#[test]
fn a_falsy_id_counts_as_none() {
    for id in ["0", "0.0", "\"\"", "null"] {
        let frame = items(&format!(
            r#"{{"type":"items","collection":"messages","action":"read","id":{id}}}"#
        ));

        assert_eq!(frame.id, None, "{id}");
    }
}

#[test]
fn an_items_frame_keeps_all_fields() {
    let frame = items(
        r#"{"type":"items","collection":"messages","action":"update","id":3,"ids":["4"],
            "data":{"content":"x"},"query":{"fields":"*,a.b"},"uid":1}"#,
    );

    assert_eq!(frame.action, ItemsAction::Update);
    assert_eq!(frame.id, Some(json!(3)));
    assert_eq!(frame.ids, Some(vec![json!("4")]));
    assert_eq!(frame.data, json!({"content": "x"}));
    assert_eq!(frame.query, Some(json!({"fields": "*,a.b"})));
    assert_eq!(frame.uid, Some(Uid::Number(1.into())));
}

#[test]
fn a_write_counts_its_items() {
    for (fields, changes) in [
        (r#""action":"create","data":{}"#, 1),
        (r#""action":"create","data":[]"#, 1),
        (r#""action":"create","data":[{},{},{}]"#, 3),
        (r#""action":"update","data":[{"id":1},{"id":2}]"#, 2),
        (r#""action":"update","ids":[1,2,3],"data":{}"#, 3),
        (r#""action":"update","id":1,"ids":[1,2,3],"data":{}"#, 1),
        (r#""action":"delete","ids":[1,2,3,4]"#, 4),
        (r#""action":"delete","query":{"limit":9}"#, 1),
        (r#""action":"read","ids":[1,2,3]"#, 1),
    ] {
        let text = format!(r#"{{"type":"items","collection":"messages",{fields}}}"#);
        assert_eq!(parse(&text).unwrap().changes(), changes, "{fields}");
    }
    assert_eq!(parse(r#"{"type":"ping"}"#).unwrap().changes(), 1);
}

#[test]
fn prototype_keys_are_dropped_at_every_depth() {
    let frame = items(
        r#"{"type":"items","collection":"messages","action":"create","__proto__":{"a":1},
            "data":[{"content":"x","\u005f_proto__":{"admin":true}}]}"#,
    );

    assert_eq!(frame.data, json!([{"content": "x"}]));
}

#[test]
fn the_parser_agrees_with_the_documented_frames() {
    let accepts = |frame: &Json| {
        let frame = Frame::parse(frame.to_string().as_bytes(), 32);
        !matches!(frame, Err(_) | Ok(Frame::Other | Frame::Auth(Auth::Nothing, _)))
    };
    let with = |frame: &Json, name: &str, value: Json| {
        let mut frame = frame.clone();
        frame[name] = value;
        frame
    };
    let document: Json = serde_json::from_str(&asyncapi::document()).unwrap();
    let names = document["channels"]["websocket"]["messages"].as_object().unwrap().keys();
    let messages = names.map(|name| &document["components"]["messages"][name]);
    for message in messages.filter(|message| message["x-from"] == "client") {
        let required = message["payload"]["required"].as_array().unwrap();
        for frame in message["examples"].as_array().unwrap() {
            let frame = &frame["payload"];
            assert!(accepts(frame), "{frame}");
            for name in frame.as_object().unwrap().keys() {
                let mut without = frame.clone();
                without.as_object_mut().unwrap().shift_remove(name);
                // The domain refuses updates without values.
                let is_optional = name == "data" || !required.contains(&Json::from(name.as_str()));
                assert_eq!(accepts(&without), is_optional, "{frame} without {name}");
            }
            for (name, schema) in message["payload"]["properties"].as_object().unwrap() {
                if schema.get("const").or(schema.get("enum")).is_some() {
                    assert!(!accepts(&with(frame, name, "other".into())), "{frame}: {name}");
                }
                for value in schema["enum"].as_array().into_iter().flatten() {
                    assert!(accepts(&with(frame, name, value.clone())), "{frame}: {value}");
                }
            }
        }
    }
    let recover =
        &document["components"]["messages"]["subscribe"]["payload"]["properties"]["recover"];
    assert_eq!((&recover["minLength"], &recover["maxLength"]), (&1.into(), &RECOVER_MAX.into()));
}
