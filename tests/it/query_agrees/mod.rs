//! One filter tree, two evaluators: the database and memory have to find the same rows.
//!
//! Rows and filters are generated. A failing case is minimized, and its seed is stored in
//! `query_agrees.regressions` in this folder, to be tried first from then on. `PROPTEST_CASES` sets
//! the number of cases, each with some rows and some filters.

mod filters;
mod rows;
mod values;

use std::cell::Cell;
use std::time::Duration;

use chinwag::model::schema::MESSAGES;
use chinwag::model::schema::messages;
use chinwag::model::{Actor, Record};
use chinwag::query::order;
use chinwag::query::search;
use chinwag::query::{Environment, Filter, Limits, Query};
use chinwag::store::Write;
use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use serde_json::Value as Json;
use serde_json::json;

use crate::query_agrees::rows::Given;
use crate::support::TestServer;

/// The seeds of failures.
const REGRESSIONS: &str = "tests/it/query_agrees/query_agrees.regressions";

/// Returns the keys that memory finds, or `None` for an invalid filter.
fn in_memory(records: &[Record], filter: &Json, environment: &Environment<'_>) -> Option<Vec<i64>> {
    let filter = Filter::parse(&MESSAGES, filter, environment, &Limits::default()).ok()?;
    let fitting = records.iter().filter(|record| filter.matches(record));
    Some(fitting.filter_map(|record| record.row.get(&messages::id)).collect())
}

/// Returns the keys that a search finds in memory, in order.
fn searched(records: &[Record], query: &Json, environment: &Environment<'_>) -> Vec<Option<i64>> {
    let query = Query::parse(&MESSAGES, query, environment, &Limits::default()).unwrap();
    let found = query.select.search.as_ref();
    let found = found.map(|(word, fields)| search::filter(word, fields.iter().copied()));
    let fits = |record: &&Record| found.as_ref().is_none_or(|found| found.matches(record));
    let mut found: Vec<&Record> = records.iter().filter(fits).collect();
    order::sort(&mut found, &query.select.sort);
    found.iter().map(|record| record.row.get(&messages::id)).collect()
}

/// Counts filters, so that the test fails if all are trivial.
#[derive(Default)]
struct Tally {
    all: Cell<usize>,
    refused: Cell<usize>,
    dividing: Cell<usize>,
}

impl Tally {
    fn note(&self, found: Option<&[i64]>, of: usize) {
        let count = |what: &Cell<usize>| what.set(what.get() + 1);
        count(&self.all);
        match found {
            None => count(&self.refused),
            Some(found) if !found.is_empty() && found.len() < of => count(&self.dividing),
            Some(_) => {}
        }
    }

    fn check(&self) {
        let (all, refused) = (self.all.get(), self.refused.get());
        let dividing = self.dividing.get();
        assert!(
            refused * 4 < all && dividing * 5 > all,
            "of {all} filters {refused} are invalid, {dividing} match some rows but not all"
        );
    }
}

#[test]
fn database_and_memory_return_the_same_rows() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (server, admin, given) = runtime.block_on(async {
        // The clock is stopped, so that `$NOW` is the same for both.
        let server = TestServer::at_noon(|config| config.limits.per_address = None).await;
        let admin = server.admin().await;
        let given = Given::read(&admin).await;
        (server, admin, given)
    });
    let actor = Actor { user: Some(admin.id.parse().unwrap()), ..Actor::denied() };
    let environment = Environment::new(&actor, server.clock.now());
    let committer = &server.app().services().committer;

    let defaults = ProptestConfig::default();
    let config = ProptestConfig {
        max_shrink_time: u32::try_from(Duration::from_secs(30).as_millis()).unwrap(),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        source_file: Some(file!()),
        ..defaults
    };
    let cases = (
        rows::rows(),
        vec(filters::filter(), 1..24),
        vec((filters::search(), filters::order()), 1..4),
    );
    let tally = Tally::default();
    let outcome = TestRunner::new(config).run(&cases, |(rows, filters, searches)| {
        let at = server.clock.now();
        let write = Write { actor: None, at, ops: rows.ops(&given) };
        runtime.block_on(committer.commit(write)).unwrap();
        let records = rows.records(&given);
        let found = filters.iter().map(|filter| {
            let query = json!({"filter": filter, "fields": ["id"], "sort": ["id"], "limit": -1});
            let (admin, body) = (&admin, json!({"query": query}));
            async move { admin.search("/items/messages", &body).await }
        });
        for (answer, filter) in runtime.block_on(join_all(found)).iter().zip(&filters) {
            let memory = in_memory(&records, filter, &environment);
            let database = answer.body["data"]
                .as_array()
                .map(|rows| rows.iter().filter_map(|row| row["id"].as_i64()).collect::<Vec<_>>());
            let expected_status = if memory.is_some() { 200 } else { 400 };
            prop_assert_eq!(answer.status, expected_status, "{}: {}", filter, &answer.text);
            tally.note(memory.as_deref(), records.len());
            prop_assert_eq!(database, memory, "database and memory differ for {}", filter);
        }
        for (word, order) in searches {
            let query = json!({"search": word, "fields": ["id"], "sort": order, "limit": -1});
            let memory = searched(&records, &query, &environment);
            let answer =
                runtime.block_on(admin.search("/items/messages", &json!({"query": query})));
            let database: Vec<_> =
                answer.ok().as_array().unwrap().iter().map(|row| row["id"].as_i64()).collect();
            prop_assert_eq!(database, memory, "database and memory differ for {}", query);
        }
        Ok(())
    });

    runtime.block_on(server.stop());
    if let Err(error) = outcome {
        panic!("{error}");
    }
    tally.check();
}
