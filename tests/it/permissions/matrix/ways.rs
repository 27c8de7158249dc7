//! The entry points of the table: requests, responses, and their effect on the items.

use serde_json::Value as Json;
use serde_json::json;

use crate::classes::dump::assert_unchanged;
use crate::classes::dump::dump;
use crate::permissions::matrix::world::World;
use crate::support::{Answer, Client, Socket};

/// Returns the outcome of an attempt, and checks its effect on the items.
pub async fn outcome(world: &mut World, place: usize, way: &[&str]) -> &'static str {
    let [action, road, by, whose] = *way else { panic!("{way:?}") };
    match action {
        "create" => created(world, place, road, by).await,
        "hear" => heard(world, place, by, whose).await,
        _ => changed(world, place, way).await,
    }
}

/// Reads, updates or deletes.
async fn changed(world: &mut World, place: usize, way: &[&str]) -> &'static str {
    let [action, road, by, whose] = *way else { panic!("{way:?}") };
    let ids = world.messages(place, whose).await;
    let before = dump(&world.server).await;
    let person = &mut world.people[place];
    let label = format!("{way:?} by {}", person.name);

    let (refusal, shown) = if road == "rest" {
        let answer = rest(&person.client, action, by, &ids).await;
        (answer.code().to_owned(), answer.body["data"].clone())
    } else {
        let answer = socket(&mut person.socket, action, by, &ids).await;
        let code = answer["error"]["code"].as_str().unwrap_or_default();
        (code.to_owned(), answer["data"].clone())
    };

    let contents = world.contents(&ids).await;
    let is_touched = |id: &i64| match contents.iter().find(|(known, _)| known == id) {
        Some((_, content)) => content == "after",
        None => true,
    };
    let touched: Vec<i64> = ids.iter().copied().filter(is_touched).collect();
    if touched.is_empty() {
        assert_unchanged(&world.server, &before, &label).await;
    }
    let done = if action == "read" {
        assert!(touched.is_empty(), "{label}");
        ids.iter().copied().filter(|id| shows(&shown, *id)).collect()
    } else {
        touched
    };
    if let Some(refused) = refused(&refusal) {
        assert!(done.is_empty(), "{label} was refused, but affected {done:?}");
        return refused;
    }
    match done.len() {
        0 => "none",
        all if all == ids.len() => "yes",
        _ if done == ids[..1] => "own",
        _ => "other",
    }
}

/// Returns the table's word for an error code.
fn refused(code: &str) -> Option<&'static str> {
    match code {
        "" => None,
        "FORBIDDEN" => Some("no"),
        "INVALID_CREDENTIALS" => Some("out"),
        other => panic!("{other}"),
    }
}

/// Returns whether `data` contains a message or its key, alone or in a list.
fn shows(data: &Json, id: i64) -> bool {
    let is_it = |data: &Json| {
        data["id"] == id || *data == id || data.as_str() == Some(id.to_string().as_str())
    };
    match data {
        Json::Array(list) => list.iter().any(is_it),
        one => is_it(one),
    }
}

/// Returns the body of a REST request that selects items in this way.
fn body(by: &str, ids: &[i64], data: Option<Json>) -> Json {
    let mut body = match by {
        "keys" => json!({"keys": ids}),
        "query" => json!({"query": {"filter": {"id": {"_in": ids}}}}),
        _ => return ids.iter().map(|id| json!({"id": id, "content": "after"})).collect(),
    };
    if let Some(data) = data {
        body["data"] = data;
    }
    body
}

async fn rest(client: &Client, action: &str, by: &str, ids: &[i64]) -> Answer {
    let (all, one) = ("/items/messages", format!("/items/messages/{}", ids[0]));
    let data = json!({"content": "after"});
    match (action, by) {
        ("read", "id") => client.get(&one).await,
        ("read", "query") => {
            let list: Vec<String> = ids.iter().map(i64::to_string).collect();
            client.get(&format!("{all}?filter[id][_in]={}", list.join(","))).await
        }
        ("read", "search") => client.search(all, &body("query", ids, None)).await,
        ("read", _) => client.search(all, &body(by, ids, None)).await,
        ("update", "id") => client.patch(&one, &data).await,
        ("update", _) => client.patch(all, &body(by, ids, Some(data))).await,
        (_, "id") => client.delete(&one).await,
        _ => client.delete_many(all, &body(by, ids, None)).await,
    }
}

async fn socket(socket: &mut Socket, action: &str, by: &str, ids: &[i64]) -> Json {
    let mut frame = json!({"type": "items", "collection": "messages", "action": action});
    match by {
        "id" => frame["id"] = json!(ids[0]),
        "keys" => frame["ids"] = json!(ids),
        "query" => frame["query"] = json!({"filter": {"id": {"_in": ids}}}),
        _ => {}
    }
    if action == "update" {
        let data = json!({"content": "after"});
        frame["data"] = if by == "each" { body(by, ids, None) } else { data };
    }
    socket.ask(&frame).await
}

/// Returns the outcome of creating messages, and checks the stored ones.
async fn created(world: &mut World, place: usize, road: &str, by: &str) -> &'static str {
    let before = dump(&world.server).await;
    let person = &mut world.people[place];
    let content = format!("{} by {road}, {by}", person.name);
    let message = json!({"content": content});
    let data = if by == "one" { message } else { json!([message, message]) };
    let refusal = if road == "rest" {
        person.client.post("/items/messages", &data).await.code().to_owned()
    } else {
        let frame = json!({"type": "items", "collection": "messages", "action": "create",
            "data": data});
        let answer = person.socket.ask(&frame).await;
        answer["error"]["code"].as_str().unwrap_or_default().to_owned()
    };
    if let Some(refused) = refused(&refusal) {
        assert_unchanged(&world.server, &before, &content).await;
        return refused;
    }
    let query = json!({"query": {"filter": {"content": content}}});
    let made = world.admin.search("/items/messages", &query).await.ok();
    let expected = if by == "one" { 1 } else { 2 };
    assert_eq!(made.as_array().unwrap().len(), expected, "{content}");
    "yes"
}

/// Returns whether a subscription receives a message.
async fn heard(world: &mut World, place: usize, of: &str, whose: &str) -> &'static str {
    let made = if of == "create" { None } else { Some(world.messages(place, whose).await[0]) };
    // The subscription starts after the create event.
    world.told().await;
    let before = dump(&world.server).await;
    let person = &mut world.people[place];
    let label = format!("hear {of} {whose} by {}", person.name);
    let mut frame = match of {
        "init" => json!({"query": {"filter": {"id": {"_eq": made}}}}),
        "item" => json!({"item": made}),
        event => json!({"event": event}),
    };
    frame["collection"] = json!("messages");
    let begun = person.socket.subscribe("h", frame).await;
    assert_unchanged(&world.server, &before, &label).await;
    if let Some(refused) = refused(begun["error"]["code"].as_str().unwrap_or_default()) {
        return refused;
    }
    assert_eq!(begun["event"], "init", "{begun}");

    let id = match (of, made) {
        ("create", _) => world.messages(place, whose).await[0],
        (_, Some(id)) => id,
        _ => panic!("{label}"),
    };
    let expected: &[&str] = match of {
        "init" => &[],
        "create" => &["create"],
        "update" => {
            world.change(id).await;
            &["update"]
        }
        "delete" => {
            world.remove(id).await;
            &["delete"]
        }
        _ => {
            world.change(id).await;
            world.remove(id).await;
            &["update", "delete"]
        }
    };
    world.told().await;
    let socket = &mut world.people[place].socket;
    socket.send(&json!({"type": "unsubscribe", "uid": "h"})).await;
    let mut told = Vec::new();
    loop {
        let frame = socket.next().await;
        if frame["event"] == "unsubscribe" {
            break;
        }
        if shows(&frame["data"], id) {
            told.push(frame["event"].as_str().unwrap().to_owned());
        }
    }
    let is_shown = shows(&begun["data"], id);
    match of {
        "init" => assert!(told.is_empty(), "{label}: {told:?}"),
        // A subscription to one item gets its events only if its first frame showed the item.
        "item" => assert_eq!(told == expected, is_shown, "{label}: {told:?} after {begun}"),
        _ => assert!(!is_shown && (told.is_empty() || told == expected), "{label}: {told:?}"),
    }
    if is_shown || !told.is_empty() { "yes" } else { "none" }
}
