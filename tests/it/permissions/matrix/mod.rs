//! The access matrix: each action of each account on each message, at every entry point.
//!
//! `yes`: it succeeds. `no`: it is refused. `own`: of two messages it affects the own one only.
//! `none`: as if the item did not exist. `out`: the token is no longer valid. An action that does
//! not succeed leaves the whole database unchanged, including the log.
//!
//! The public may read messages. The role of `owner` reads and changes its own messages only. The
//! role of `moder` reads, changes and deletes all messages, without being an administrator. The
//! `own` messages of a visitor are those written without an account, which belong to no one.
//! `suspended` was suspended while connected: it has the rights of the public over the socket, and
//! none over REST. Without public permissions, visitors and accounts without a role have no rights.

mod ways;
mod world;

use crate::permissions::matrix::ways::outcome;
use crate::permissions::matrix::world::World;

const TABLE: &str = "
    way in               row    visitor  roleless  owner  member  moder  admin  suspended
    create rest   one    -      no       no        no     yes     no     yes    out
    create rest   many   -      no       no        no     yes     no     yes    out
    create socket one    -      no       no        no     yes     no     yes    no
    create socket many   -      no       no        no     yes     no     yes    no

    read   rest   id     own    yes      yes       yes    yes     yes    yes    out
    read   rest   id     other  yes      yes       no     yes     yes    yes    out
    read   rest   keys   own    yes      yes       yes    yes     yes    yes    out
    read   rest   keys   other  yes      yes       none   yes     yes    yes    out
    read   rest   keys   both   yes      yes       own    yes     yes    yes    out
    read   rest   query  own    yes      yes       yes    yes     yes    yes    out
    read   rest   query  other  yes      yes       none   yes     yes    yes    out
    read   rest   query  both   yes      yes       own    yes     yes    yes    out
    read   rest   search own    yes      yes       yes    yes     yes    yes    out
    read   rest   search other  yes      yes       none   yes     yes    yes    out
    read   rest   search both   yes      yes       own    yes     yes    yes    out
    read   socket id     own    yes      yes       yes    yes     yes    yes    yes
    read   socket id     other  yes      yes       no     yes     yes    yes    yes
    read   socket keys   own    yes      yes       yes    yes     yes    yes    yes
    read   socket keys   other  yes      yes       none   yes     yes    yes    yes
    read   socket keys   both   yes      yes       own    yes     yes    yes    yes
    read   socket query  own    yes      yes       yes    yes     yes    yes    yes
    read   socket query  other  yes      yes       none   yes     yes    yes    yes
    read   socket query  both   yes      yes       own    yes     yes    yes    yes

    hear   socket init   own    yes      yes       yes    yes     yes    yes    yes
    hear   socket init   other  yes      yes       none   yes     yes    yes    yes
    hear   socket create own    yes      yes       yes    yes     yes    yes    yes
    hear   socket create other  yes      yes       none   yes     yes    yes    yes
    hear   socket update own    yes      yes       yes    yes     yes    yes    yes
    hear   socket update other  yes      yes       none   yes     yes    yes    yes
    hear   socket delete own    yes      yes       yes    yes     yes    yes    yes
    hear   socket delete other  yes      yes       none   yes     yes    yes    yes
    hear   socket item   own    yes      yes       yes    yes     yes    yes    yes
    hear   socket item   other  yes      yes       no     yes     yes    yes    yes

    update rest   id     own    no       no        yes    yes     yes    yes    out
    update rest   id     other  no       no        no     no      yes    yes    out
    update rest   keys   own    no       no        yes    yes     yes    yes    out
    update rest   keys   other  no       no        no     no      yes    yes    out
    update rest   keys   both   no       no        no     no      yes    yes    out
    update rest   query  own    no       no        yes    yes     yes    yes    out
    update rest   query  other  no       no        none   none    yes    yes    out
    update rest   query  both   no       no        own    own     yes    yes    out
    update rest   each   own    no       no        yes    yes     yes    yes    out
    update rest   each   other  no       no        no     no      yes    yes    out
    update rest   each   both   no       no        no     no      yes    yes    out
    update socket id     own    no       no        yes    yes     yes    yes    no
    update socket id     other  no       no        no     no      yes    yes    no
    update socket keys   own    no       no        yes    yes     yes    yes    no
    update socket keys   other  no       no        no     no      yes    yes    no
    update socket keys   both   no       no        no     no      yes    yes    no
    update socket query  own    no       no        yes    yes     yes    yes    no
    update socket query  other  no       no        none   none    yes    yes    no
    update socket query  both   no       no        own    own     yes    yes    no
    update socket each   own    no       no        yes    yes     yes    yes    no
    update socket each   other  no       no        no     no      yes    yes    no
    update socket each   both   no       no        no     no      yes    yes    no

    delete rest   id     own    no       no        yes    yes     yes    yes    out
    delete rest   id     other  no       no        no     no      yes    yes    out
    delete rest   keys   own    no       no        yes    yes     yes    yes    out
    delete rest   keys   other  no       no        no     no      yes    yes    out
    delete rest   keys   both   no       no        no     no      yes    yes    out
    delete rest   query  own    no       no        yes    yes     yes    yes    out
    delete rest   query  other  no       no        none   none    yes    yes    out
    delete rest   query  both   no       no        own    own     yes    yes    out
    delete socket id     own    no       no        yes    yes     yes    yes    no
    delete socket id     other  no       no        no     no      yes    yes    no
    delete socket keys   own    no       no        yes    yes     yes    yes    no
    delete socket keys   other  no       no        no     no      yes    yes    no
    delete socket keys   both   no       no        no     no      yes    yes    no
    delete socket query  own    no       no        yes    yes     yes    yes    no
    delete socket query  other  no       no        none   none    yes    yes    no
    delete socket query  both   no       no        own    own     yes    yes    no
";

/// Returns the lines of the table, split into words, the header first.
fn lines() -> impl Iterator<Item = Vec<&'static str>> {
    TABLE
        .lines()
        .map(|line| line.split_whitespace().collect())
        .filter(|words: &Vec<_>| !words.is_empty())
}

/// Compares the outcomes with the lines of the table about an action.
async fn compare(action: &str) {
    let mut world = Box::pin(World::new()).await;
    let names: Vec<&str> = world.people.iter().map(|person| person.name).collect();
    assert_eq!(lines().next().unwrap()[3..], names);

    let mut wrong = Vec::new();
    let mut compared = 0;
    for words in lines().filter(|words| words[0] == action) {
        let (way, expected) = words.split_at(4);
        for (place, expected) in expected.iter().enumerate() {
            let outcome = outcome(&mut world, place, way).await;
            if outcome != *expected {
                let (way, name) = (way.join(" "), names[place]);
                wrong.push(format!("{way} {name}: {outcome}, not {expected}"));
            }
            compared += 1;
        }
    }

    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(compared >= 4 * names.len(), "{compared}");
    world.server.stop().await;
}

#[tokio::test]
async fn create_access_matches_the_table() {
    compare("create").await;
}

#[tokio::test]
async fn read_access_matches_the_table() {
    compare("read").await;
}

#[tokio::test]
async fn subscription_access_matches_the_table() {
    compare("hear").await;
}

#[tokio::test]
async fn update_access_matches_the_table() {
    compare("update").await;
}

#[tokio::test]
async fn delete_access_matches_the_table() {
    compare("delete").await;
}

#[tokio::test]
async fn without_public_permissions_every_action_is_refused() {
    let mut world = World::without_public().await;

    for words in lines().skip(1) {
        let way = &words[..4];
        for place in [0, 1] {
            assert_eq!(outcome(&mut world, place, way).await, "no", "{way:?} {place}");
        }
    }

    world.server.stop().await;
}
