//! The table of who may do what to whose message, by every way in.
//!
//! `yes`: it happens. `no`: it is refused. `none`: it is answered as if there were no such item.
//! `out`: the token is no good any more. Whatever is not `yes` has changed nothing.
//!
//! The public may read messages. `owner` has a role that reads and changes its own ones alone.
//! What is `own` to a visitor is what visitors wrote: it is nobody's. Who was suspended while
//! connected is the public over the socket, and gone over REST. Where the public may do nothing,
//! visitors are nobody, and so are accounts without a role.

use serde_json::Value as Json;
use serde_json::json;

use crate::support::Answer;
use crate::support::Client;
use crate::support::Permission;
use crate::support::Socket;
use crate::support::TestServer;
use crate::support::User;

const TABLE: &str = "
    way in               row    visitor  roleless  owner  member  admin  suspended
    create rest   one    -      no       no        no     yes     yes    out
    create rest   many   -      no       no        no     yes     yes    out
    create socket one    -      no       no        no     yes     yes    no
    create socket many   -      no       no        no     yes     yes    no

    read   rest   id     own    yes      yes       yes    yes     yes    out
    read   rest   id     other  yes      yes       no     yes     yes    out
    read   rest   keys   own    yes      yes       yes    yes     yes    out
    read   rest   keys   other  yes      yes       none   yes     yes    out
    read   rest   query  own    yes      yes       yes    yes     yes    out
    read   rest   query  other  yes      yes       none   yes     yes    out
    read   rest   search own    yes      yes       yes    yes     yes    out
    read   rest   search other  yes      yes       none   yes     yes    out
    read   socket id     own    yes      yes       yes    yes     yes    yes
    read   socket id     other  yes      yes       no     yes     yes    yes
    read   socket keys   own    yes      yes       yes    yes     yes    yes
    read   socket keys   other  yes      yes       none   yes     yes    yes
    read   socket query  own    yes      yes       yes    yes     yes    yes
    read   socket query  other  yes      yes       none   yes     yes    yes
    hear   socket -      own    yes      yes       yes    yes     yes    yes
    hear   socket -      other  yes      yes       none   yes     yes    yes

    update rest   id     own    no       no        yes    yes     yes    out
    update rest   id     other  no       no        no     no      yes    out
    update rest   keys   own    no       no        yes    yes     yes    out
    update rest   keys   other  no       no        no     no      yes    out
    update rest   query  own    no       no        yes    yes     yes    out
    update rest   query  other  no       no        none   none    yes    out
    update rest   each   own    no       no        yes    yes     yes    out
    update rest   each   other  no       no        no     no      yes    out
    update socket id     own    no       no        yes    yes     yes    no
    update socket id     other  no       no        no     no      yes    no
    update socket keys   own    no       no        yes    yes     yes    no
    update socket keys   other  no       no        no     no      yes    no
    update socket query  own    no       no        yes    yes     yes    no
    update socket query  other  no       no        none   none    yes    no
    update socket each   own    no       no        yes    yes     yes    no
    update socket each   other  no       no        no     no      yes    no

    delete rest   id     own    no       no        yes    yes     yes    out
    delete rest   id     other  no       no        no     no      yes    out
    delete rest   keys   own    no       no        yes    yes     yes    out
    delete rest   keys   other  no       no        no     no      yes    out
    delete rest   query  own    no       no        yes    yes     yes    out
    delete rest   query  other  no       no        none   none    yes    out
    delete socket id     own    no       no        yes    yes     yes    no
    delete socket id     other  no       no        no     no      yes    no
    delete socket keys   own    no       no        yes    yes     yes    no
    delete socket keys   other  no       no        no     no      yes    no
    delete socket query  own    no       no        yes    yes     yes    no
    delete socket query  other  no       no        none   none    yes    no
";

/// Somebody, by both ways in.
struct Person {
    name: &'static str,
    client: Client,
    socket: Socket,
    /// Whom the messages of theirs have as author.
    author: Json,
}

struct World {
    server: TestServer,
    admin: User,
    bystander: User,
    witness: Socket,
    people: Vec<Person>,
}

impl World {
    async fn new() -> Self {
        let world = Self::without_public().await;
        world.server.allow_public(&[Permission::to("read", "messages")]).await;
        world
    }

    /// As it is where the public may do nothing.
    async fn without_public() -> Self {
        let server = TestServer::start().await;
        let (admin, bystander) = (server.admin().await, server.member("bystander").await);
        let own = || json!({"user_created": {"_eq": "$CURRENT_USER"}});
        let owner = ["read", "update", "delete"].map(|to| Permission::to(to, "messages").on(own()));
        let suspended = server.member("suspended").await;
        let mut people = vec![Person {
            name: "visitor",
            client: server.anonymous(),
            socket: Socket::connect(&server).await,
            author: Json::Null,
        }];
        for (name, user) in [
            ("roleless", server.user_without_role("roleless").await),
            ("owner", server.user_with("owner", &owner).await),
            ("member", server.member("member").await),
            ("admin", server.admin().await),
            ("suspended", suspended),
        ] {
            let mut socket = Socket::signed_in(&server, &user).await;
            if name == "suspended" {
                let status = json!({"status": "suspended"});
                admin.patch(&format!("/users/{}", user.id), &status).await.ok();
                assert_eq!(socket.next().await["error"]["code"], "AUTH_FAILED");
            }
            people.push(Person {
                name,
                client: user.bearing(&user.token),
                socket,
                author: json!(user.id),
            });
        }
        let mut witness = Socket::signed_in(&server, &admin).await;
        witness.subscribe("w", json!({"event": "update"})).await;
        Self { server, admin, bystander, witness, people }
    }

    /// Makes a message of this author.
    async fn message(&self, author: &Json) -> i64 {
        let id = self.admin.say("before").await;
        let events = &self.server.app().services().changes;
        // Nobody can choose an author over the wire, so the store is told.
        let set = vec![(
            chinwag::model::schema::MESSAGES.require("user_created"),
            author.as_str().map(|id| id.parse::<uuid::Uuid>().unwrap()).into(),
        )];
        let op = chinwag::store::Op::Update {
            collection: &chinwag::model::schema::MESSAGES,
            keys: vec![chinwag::model::Key::Integer(id)],
            set,
            guard: chinwag::store::Guard::Present,
        };
        let at = self.server.clock.now();
        let write = chinwag::store::Write { actor: None, at, ops: vec![op] };
        events.commit(write).await.unwrap();
        id
    }

    async fn content(&self, id: i64) -> Option<String> {
        let found = self.admin.get(&format!("/items/messages?filter[id][_eq]={id}")).await.ok();
        found[0]["content"].as_str().map(str::to_owned)
    }
}

/// Returns the body of a REST call that names one item this way.
fn body(by: &str, id: i64, data: Option<Json>) -> Json {
    let mut body = match by {
        "keys" => json!({"keys": [id]}),
        "query" => json!({"query": {"filter": {"id": {"_eq": id}}}}),
        _ => return json!([{"id": id, "content": "after"}]),
    };
    if let Some(data) = data {
        body["data"] = data;
    }
    body
}

async fn rest(client: &Client, action: &str, by: &str, id: i64) -> Answer {
    let (all, one) = ("/items/messages", format!("/items/messages/{id}"));
    let data = json!({"content": "after"});
    match (action, by) {
        ("read", "id") => client.get(&one).await,
        ("read", "query") => client.get(&format!("{all}?filter[id][_eq]={id}")).await,
        ("read", "search") => client.search(all, &body("query", id, None)).await,
        ("read", _) => client.search(all, &body(by, id, None)).await,
        ("update", "id") => client.patch(&one, &data).await,
        ("update", _) => client.patch(all, &body(by, id, Some(data))).await,
        (_, "id") => client.delete(&one).await,
        _ => client.delete_many(all, &body(by, id, None)).await,
    }
}

async fn socket(socket: &mut Socket, action: &str, by: &str, id: i64) -> Json {
    let mut frame = json!({"type": "items", "collection": "messages", "action": action});
    match by {
        "id" => frame["id"] = json!(id),
        "keys" => frame["ids"] = json!([id]),
        "query" => frame["query"] = json!({"filter": {"id": {"_eq": id}}}),
        _ => {}
    }
    if action == "update" {
        let data = json!({"content": "after"});
        frame["data"] = if by == "each" { body(by, id, None) } else { data };
    }
    socket.ask(&frame).await
}

/// Says what came of it, from the answer alone: the code of a refusal, or what was found.
fn told(code: Option<&str>, found: bool) -> &'static str {
    match code {
        Some("FORBIDDEN") => "no",
        Some("INVALID_CREDENTIALS") => "out",
        Some(other) => panic!("{other}"),
        None if found => "yes",
        None => "none",
    }
}

/// Returns what came of an attempt, and looks at what became of the item.
async fn outcome(world: &mut World, place: usize, way: &[&str]) -> &'static str {
    let [action, road, by, row] = *way else { panic!("{way:?}") };
    if action == "create" {
        return created(world, place, road, by).await;
    }
    let author =
        if row == "own" { world.people[place].author.clone() } else { json!(world.bystander.id) };
    let id = world.message(&author).await;
    if action == "hear" {
        return heard(world, place, id).await;
    }
    let person = &mut world.people[place];
    let is_found = |data: &Json| match data {
        Json::Array(list) => !list.is_empty(),
        other => !other.is_null(),
    };
    let told = if road == "rest" {
        let answer = rest(&person.client, action, by, id).await;
        let code = (answer.status >= 400).then(|| answer.code());
        told(code, answer.status == 204 || is_found(&answer.body["data"]))
    } else {
        let answer = socket(&mut person.socket, action, by, id).await;
        told(answer["error"]["code"].as_str(), is_found(&answer["data"]))
    };
    let content = world.content(id).await;
    let happened = match action {
        "update" => content.as_deref() == Some("after"),
        "delete" => content.is_none(),
        _ => told == "yes",
    };
    if !happened {
        assert_eq!(content.as_deref(), Some("before"), "{way:?} of {}", world.people[place].name);
    }
    match told {
        // Deleting by query says nothing of what it found.
        "yes" | "none" => {
            if happened {
                "yes"
            } else {
                "none"
            }
        }
        refused => {
            assert!(!happened || action == "read", "{way:?} was refused and happened");
            refused
        }
    }
}

/// Returns what came of creating messages, and looks at what there is.
async fn created(world: &mut World, place: usize, road: &str, by: &str) -> &'static str {
    let person = &mut world.people[place];
    let content = format!("{} by {road}, {by}", person.name);
    let message = json!({"content": content});
    let data = if by == "one" { message } else { json!([message, message]) };
    let told = if road == "rest" {
        let answer = person.client.post("/items/messages", &data).await;
        told((answer.status >= 400).then(|| answer.code()), true)
    } else {
        let frame = json!({"type": "items", "collection": "messages", "action": "create",
            "data": data});
        told(person.socket.ask(&frame).await["error"]["code"].as_str(), true)
    };
    let query = json!({"query": {"filter": {"content": content}}});
    let made = world.admin.search("/items/messages", &query).await.ok().as_array().unwrap().len();
    let expected = match (told, by) {
        ("yes", "one") => 1,
        ("yes", _) => 2,
        _ => 0,
    };
    assert_eq!(made, expected, "{content}: {told}");
    told
}

/// Returns whether somebody hears of a change of an item.
async fn heard(world: &mut World, place: usize, id: i64) -> &'static str {
    // The message's own making has been heard by then.
    while world.witness.next().await["data"][0]["id"] != id {}
    let listener = &mut world.people[place].socket;
    let begun = listener.subscribe("h", json!({"event": "update"})).await;
    if begun["event"] != "init" {
        return told(begun["error"]["code"].as_str(), false);
    }
    world.admin.patch(&format!("/items/messages/{id}"), &json!({"content": "heard?"})).await.ok();
    while world.witness.next().await["data"][0]["content"] != "heard?" {}
    // The hub hands an event to all before the next one, and what it hands out comes before this.
    let marker = world.message(&Json::Null).await;
    while world.witness.next().await["data"][0]["id"] != marker {}
    let listener = &mut world.people[place].socket;
    listener.send(&json!({"type": "unsubscribe", "uid": "h"})).await;
    let mut heard = "none";
    loop {
        let frame = listener.next().await;
        if frame["event"] == "unsubscribe" {
            return heard;
        }
        if frame["data"][0]["content"] == "heard?" {
            heard = "yes";
        }
    }
}

#[tokio::test]
async fn nobody_may_do_anything_where_the_public_may_do_nothing() {
    let mut world = World::without_public().await;

    for line in TABLE.lines().skip(2).filter(|line| !line.trim().is_empty()) {
        let way = &line.split_whitespace().collect::<Vec<_>>()[..4];
        for place in [0, 1] {
            assert_eq!(outcome(&mut world, place, way).await, "no", "{way:?} {place}");
        }
    }

    world.server.stop().await;
}

#[tokio::test]
async fn everybody_may_do_what_the_table_says_and_nothing_else() {
    let mut world = Box::pin(World::new()).await;
    let mut lines = TABLE.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let head = lines.find(|words| !words.is_empty()).unwrap();
    let names: Vec<&str> = world.people.iter().map(|person| person.name).collect();
    assert_eq!(head[3..], names);

    let mut wrong = Vec::new();
    for words in lines.filter(|words| !words.is_empty()) {
        let (way, expected) = words.split_at(4);
        for (place, expected) in expected.iter().enumerate() {
            let outcome = outcome(&mut world, place, way).await;
            if outcome != *expected {
                wrong.push(format!(
                    "{} {}: {outcome}, not {expected}",
                    way.join(" "),
                    names[place]
                ));
            }
        }
    }

    assert!(wrong.is_empty(), "{wrong:#?}");
    world.server.stop().await;
}
