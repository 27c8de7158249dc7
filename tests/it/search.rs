//! The search index: in any state of the index, results equal those of a scan of all messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use chinwag::clock::Timestamp;
use chinwag::config::{Config, StoreConfig};
use chinwag::model::schema::MESSAGES;
use chinwag::model::schema::messages;
use chinwag::model::{Key, Record, Row, Value};
use chinwag::query::{Filter, Scope, Sort, Test, TextPosition};
use chinwag::store::{Mutation, Precondition, Select, Store, Write};
use chinwag::text::fold;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::support::soon;

/// Parts of texts and search terms: case, other scripts, letters whose case only Unicode defines,
/// characters of two code points, operators of full-text queries, and characters that an index may
/// not be able to store.
const PIECES: [&str; 60] = [
    "Привет",
    "МИР",
    "и",
    "\u{306}",
    "Й",
    "ΑΘΗΝΑΣ",
    "ς",
    "σ",
    "ı",
    "I",
    "ẞ",
    "ss",
    "ﬁ",
    "fi",
    "\u{345}",
    "\u{1100}\u{1161}",
    "a",
    "A",
    "b",
    "B",
    "ab",
    "aB",
    "c",
    "the",
    " ",
    "1",
    "12",
    "ä",
    "Ä",
    "ß",
    "İ",
    "\u{212a}",
    "k",
    "é",
    "e\u{301}",
    "你",
    "好",
    "天气",
    "気",
    "안녕",
    "🎉",
    "👩\u{200d}👧",
    "\"",
    "\"\"",
    "'",
    "*",
    "-",
    "^",
    "NEAR(",
    "AND",
    " OR ",
    "content:",
    ")",
    "%",
    "_",
    "\\",
    "\u{1}",
    "\u{7f}",
    "\u{fffd}",
    "\u{ffff}",
];

/// A store, with a copy of its messages.
struct Chat {
    store: Arc<Store>,
    messages: BTreeMap<i64, Option<String>>,
    config: StoreConfig,
    _directory: TempDir,
    drain: tokio::task::JoinHandle<()>,
}

impl Chat {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::for_tests().store;
        config.filename = Some(directory.path().join("chinwag.db"));
        let (committed, mut published) = mpsc::channel(100);
        let drain = tokio::spawn(async move { while published.recv().await.is_some() {} });
        let store = Arc::new(Store::open(&config, committed).await.unwrap());
        Self { store, messages: BTreeMap::new(), config, _directory: directory, drain }
    }

    async fn stop(self) {
        self.store.close().await;
        drop(self.store);
        soon(self.drain).await.unwrap();
    }

    async fn write(&self, op: Mutation) -> Vec<i64> {
        let write = Write { actor: None, at: Timestamp::from_millis(0), ops: vec![op] };
        let events = self.store.write(write).await.unwrap();
        events
            .iter()
            .flat_map(|event| &event.changes)
            .map(|change| match change.key {
                Key::Integer(key) => key,
                Key::Uuid(id) => panic!("{id}"),
            })
            .collect()
    }

    async fn say(&mut self, texts: Vec<Option<String>>) {
        let rows = texts.iter().map(|text| {
            let content = text.as_deref().map_or(Value::Null, Value::text);
            let at = Value::Timestamp(Timestamp::from_millis(1));
            Row::empty(&MESSAGES)
                .with(&messages::content, content)
                .with(&messages::date_created, at)
        });
        let op = Mutation::Create { collection: &MESSAGES, rows: rows.collect() };
        let keys = self.write(op).await;
        self.messages.extend(keys.into_iter().zip(texts));
    }

    async fn change(&mut self, key: i64, text: Option<String>) {
        let content = text.as_deref().map_or(Value::Null, Value::text);
        let set = vec![messages::content.to(content)];
        let (keys, precondition) = (vec![Key::Integer(key)], Precondition::None);
        self.write(Mutation::Update { collection: &MESSAGES, keys, set, precondition }).await;
        self.messages.insert(key, text);
    }

    async fn delete(&mut self, keys: Vec<i64>) {
        for key in &keys {
            self.messages.remove(key);
        }
        let (keys, precondition) =
            (keys.into_iter().map(Key::Integer).collect(), Precondition::None);
        self.write(Mutation::delete(&MESSAGES, keys, precondition)).await;
    }

    /// Executes a statement beside the store.
    async fn meddle(&self, sql: &'static str) {
        let file = self.config.filename.as_ref().unwrap().display().to_string();
        let mut connection = SqliteConnection::connect(&format!("sqlite:{file}")).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Waits until the index has processed every event.
    async fn indexed(&self) {
        soon(async {
            while self.store.indexed() < self.store.position() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    async fn listed(&self, select: Select) -> Vec<i64> {
        let scope = Scope::grant(&MESSAGES, true, Vec::new());
        let rows = self.store.read(&scope, select).await.unwrap();
        rows.iter().filter_map(|row| row.get(&messages::id)).collect()
    }

    /// Lists the matches, and compares their number with the count.
    async fn found(&self, select: Select) -> Vec<i64> {
        let scope = Scope::grant(&MESSAGES, true, Vec::new());
        let count = self.store.count(&scope, select.clone()).await.unwrap();
        let keys = self.listed(select).await;
        assert_eq!(u64::try_from(keys.len()).unwrap(), count);
        keys
    }

    async fn search(&self, word: &str) -> Vec<i64> {
        self.found(searching(word)).await
    }

    /// Returns the matches of a scan of all messages.
    fn looked_up(&self, word: &str) -> Vec<i64> {
        let word_folded = fold(word);
        let fits = |(key, text): (&i64, &Option<String>)| {
            let found = text.as_ref().is_some_and(|text| fold(text).contains(&*word_folded));
            (found || word.parse() == Ok(*key)).then_some(*key)
        };
        self.messages.iter().filter_map(fits).collect()
    }

    async fn check(&self, word: &str) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.search(word).await, self.looked_up(word), "search {:?}", word);
        for (position, ignore_case) in [
            (TextPosition::Anywhere, false),
            (TextPosition::Anywhere, true),
            (TextPosition::Start, true),
            (TextPosition::End, false),
        ] {
            let filter = Filter::Field(
                &messages::content,
                Test::Text { position, text: word.to_owned(), ignore_case, negated: false },
            );
            let fitting = self.messages.iter().filter(|(_, text)| {
                let content = text.as_deref().map_or(Value::Null, Value::text);
                filter
                    .matches(&Record::from(Row::empty(&MESSAGES).with(&messages::content, content)))
            });
            let fitting: Vec<i64> = fitting.map(|(key, _)| *key).collect();
            let found = self.found(Select { filter, ..Select::default() }).await;
            prop_assert_eq!(found, fitting, "{:?} {:?}", position, word);
        }
        Ok(())
    }
}

fn searching(word: &str) -> Select {
    let search = Some((word.to_owned(), MESSAGES.columns().collect()));
    Select { search, ..Select::default() }
}

fn text(pieces: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    vec(select(PIECES.to_vec()), pieces).prop_map(|pieces| pieces.concat())
}

/// Texts to create, updates, deletions, and words to search for.
type Round = (Vec<Option<String>>, Vec<(usize, String)>, Vec<usize>, Vec<String>);

fn round() -> impl Strategy<Value = Round> {
    (
        vec(proptest::option::weighted(0.95, text(0..12)), 1..80),
        vec((any::<usize>(), text(0..12)), 0..6),
        vec(any::<usize>(), 0..4),
        vec(text(1..5), 1..6),
    )
}

impl Chat {
    fn any(&self, which: usize) -> Option<i64> {
        let place = which.checked_rem(self.messages.len())?;
        self.messages.keys().nth(place).copied()
    }

    async fn go_through(
        &mut self,
        (said, changed, deleted, mut words): Round,
    ) -> Result<(), TestCaseError> {
        // Substrings of the new texts, so that many searches match.
        let parts = said.iter().flatten().map(|text| text.chars().skip(1).take(4).collect());
        words.extend(parts.filter(|part: &String| !part.trim().is_empty()).take(3));
        let resumed = said.len() % 2 == 0;
        self.say(said).await;
        for (which, text) in changed {
            if let Some(key) = self.any(which) {
                self.change(key, Some(text)).await;
            }
        }
        for which in deleted {
            if let Some(key) = self.any(which) {
                self.delete(vec![key]).await;
            }
        }
        // The index first lags behind these changes, then it is complete, then half built.
        for word in &words {
            self.check(word).await?;
        }
        self.indexed().await;
        for word in &words {
            self.check(word).await?;
        }
        self.meddle("update chinwag_search set below = (select max(id) / 2 from messages)").await;
        for word in &words {
            self.check(word).await?;
        }
        // The next round finds it complete, or continues building it.
        if !resumed {
            self.meddle("update chinwag_search set below = null").await;
        }
        Ok(())
    }
}

#[test]
fn indexed_search_matches_a_full_scan() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let chat = tokio::sync::Mutex::new(runtime.block_on(Chat::new()));

    let config = ProptestConfig {
        cases: 20,
        max_shrink_iters: 0,
        failure_persistence: None,
        ..Default::default()
    };
    let outcome = TestRunner::new(config).run(&round(), |round| {
        runtime.block_on(async { chat.lock().await.go_through(round).await })
    });

    let chat = chat.into_inner();
    assert!(outcome.is_err() || chat.messages.len() > 500, "{}", chat.messages.len());
    runtime.block_on(chat.stop());
    outcome.unwrap();
}

fn texts(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

/// Without this test the ones above would pass without an index.
#[tokio::test]
async fn a_search_uses_the_index() {
    let mut chat = Chat::new().await;
    chat.say(texts(&["a needle", "天气不错", "another needle"])).await;
    // With fewer messages a scan would be cheaper.
    chat.say(vec![Some("hay".to_owned()); 50]).await;
    chat.indexed().await;

    assert_eq!(chat.search("NEEDLE").await, [1, 3]);
    assert_eq!(chat.search("天气").await, [2]);
    chat.meddle("delete from chinwag_search_texts where rowid < 3").await;
    assert_eq!(chat.search("needle").await, [3]);
    assert_eq!(chat.search("天气").await, [0; 0]);
    chat.stop().await;
}

#[tokio::test]
async fn an_incomplete_index_is_ignored_and_rebuilt() {
    let mut chat = Chat::new().await;
    chat.say(texts(&["one", "two"])).await;
    chat.indexed().await;
    chat.say(texts(&["three"])).await;
    chat.change(1, Some("three".to_owned())).await;

    // As if the log had been truncated too far.
    chat.meddle("delete from event_log where seq = 3").await;

    assert_eq!(chat.search("three").await, [1, 3]);
    chat.indexed().await;
    chat.meddle("delete from event_log").await;
    assert_eq!(chat.search("three").await, [1, 3]);
    assert_eq!(chat.search("one").await, [0; 0]);
    chat.stop().await;
}

#[tokio::test]
async fn an_existing_database_is_indexed() {
    let mut chat = Chat::new().await;
    let said: Vec<String> = (0..3000).map(|number| format!("message {number}!")).collect();
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    chat.say(texts(&said)).await;
    chat.indexed().await;
    chat.meddle("insert into chinwag_search_texts (chinwag_search_texts) values ('delete-all')")
        .await;
    chat.meddle("update chinwag_search set seq = -1, below = null").await;

    assert_eq!(chat.search("E 2999!").await, [3000]);
    // Any write resumes the build.
    chat.delete(vec![1, 2]).await;
    soon(async {
        loop {
            chat.meddle("delete from chinwag_search_texts where rowid = 3000").await;
            // Only lists: a list and its count differ if the index is completed between them.
            if chat.listed(searching("e 2999!")).await.is_empty() {
                break;
            }
        }
    })
    .await;
    // All from 2900 on except the removed one.
    assert_eq!(chat.search("e 29").await.len(), 110);
    chat.stop().await;
}

#[tokio::test]
async fn bulk_changes_are_indexed_in_steps() {
    const COUNT: usize = 10_000;
    let mut chat = Chat::new().await;
    chat.say(vec![Some("before".to_owned()); COUNT]).await;
    chat.indexed().await;

    let set = vec![messages::content.to("afterwards")];
    let keys: Vec<Key> = chat.messages.keys().map(|key| Key::Integer(*key)).collect();
    chat.write(Mutation::Update {
        collection: &MESSAGES,
        keys,
        set,
        precondition: Precondition::None,
    })
    .await;
    chat.say(texts(&["afterwards"])).await;
    // The update takes many steps, so this write is committed before the last one.
    assert!(chat.store.indexed() < chat.store.position() - 1);
    chat.indexed().await;

    assert_eq!(chat.listed(searching("afterwards")).await.len(), COUNT + 1);
    assert_eq!(chat.search("before").await, [0; 0]);
    chat.stop().await;
}

/// Beyond a certain frequency messages are scanned in order: the page is the same.
#[tokio::test]
async fn frequent_words_return_the_same_pages() {
    let mut chat = Chat::new().await;
    for begin in [0, 1, 2] {
        let said = (0..10_000).map(|place| {
            let frequent = if (begin + place) % 10 == 9 { "seldom" } else { "often" };
            Some(format!("{frequent} {place}"))
        });
        chat.say(said.collect()).await;
    }
    chat.indexed().await;
    let by = |name: &str, descending| {
        vec![Sort {
            path: Vec::new(),
            field: MESSAGES.field(name).unwrap(),
            part: None,
            descending,
        }]
    };

    for (sort, descending) in
        [(by("id", false), false), (by("id", true), true), (by("date_created", true), true)]
    {
        for (word, offset) in [("often", 0), ("often", 20_000), ("ft", 100), ("seldom", 2_990)] {
            let search = Some((word.to_owned(), MESSAGES.columns().collect()));
            let (sort, limit) = (sort.clone(), Some(20));
            let scope = Scope::grant(&MESSAGES, true, Vec::new());
            let select = Select { search, sort, limit, offset, ..Select::default() };
            let rows = chat.store.read(&scope, select).await.unwrap();
            let keys: Vec<i64> = rows.iter().filter_map(|row| row.get(&messages::id)).collect();

            let mut all = chat.looked_up(word);
            if descending {
                all.reverse();
            }
            let page = all.into_iter().skip(usize::try_from(offset).unwrap()).take(20);
            assert_eq!(keys, page.collect::<Vec<_>>(), "{word} {offset}");
        }
    }
    chat.stop().await;
}
