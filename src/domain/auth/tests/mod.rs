//! Sign-in tests with a real store and a manual clock.

mod sessions;

use std::fs;
use std::path::PathBuf;

use tokio::sync::mpsc;

use super::*;
use crate::config::{Config, HashConfig, Secret};
use crate::domain::Error;
use crate::domain::admission::{Admission, Progress};
use crate::domain::auth::throttle::ThrottledAction;
use crate::model::id;
use crate::model::schema::users;
use crate::model::schema::{SESSIONS, USERS};
use crate::model::{AccountStatus, Field, Key, Row, SessionMode, Value};
use crate::query::Limits;
use crate::store::{Mutation, Precondition, Write};

const PASSWORD: &str = "correct horse";
const EMAIL: &str = "alice@example.com";

struct World {
    auth: Auth,
    clock: Clock,
    store: Arc<Store>,
    user: Uuid,
    directory: PathBuf,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(bend: impl FnOnce(&mut AuthConfig)) -> Self {
        let mut config = Config::for_tests();
        let directory = std::env::temp_dir().join(format!("chinwag-auth-{}", id::fresh()));
        fs::create_dir(&directory).unwrap();
        config.store.filename = Some(directory.join("chinwag.db"));
        config.auth.secret = Secret("a secret of at least thirty-two characters".to_owned());
        bend(&mut config.auth);

        let clock = Clock::manual(Timestamp::from_millis(1_795_303_007_250));
        let (commits, mut drain) = mpsc::channel(10);
        tokio::spawn(async move { while drain.recv().await.is_some() {} });
        let store = Arc::new(Store::open(&config.store, commits).await.unwrap());
        let limits = Limits::default();
        let permissions = Permissions::open(Arc::clone(&store), clock.clone(), limits).await;
        let permissions = Arc::new(permissions.unwrap());
        let cache = Arc::new(RowCache::new(Arc::clone(&store)));
        let admission = Admission::new(clock.clone(), None, Arc::new(Progress::new(0)));
        let committer = Committer::new(
            Arc::clone(&store),
            Arc::clone(&cache),
            Arc::clone(&permissions),
            admission,
            clock.clone(),
        );
        let passwords = Arc::new(Passwords::new(config.auth.hash));
        let hash = passwords.hash(PASSWORD).await.unwrap();
        let auth = Auth::new(
            config.auth,
            clock.clone(),
            Arc::clone(&store),
            Arc::new(committer),
            cache,
            permissions,
            passwords,
        );
        let world = Self { auth, clock, store, user: id::fresh(), directory };
        let row = Row::new(&USERS)
            .with(&users::id, world.user)
            .with(&users::email, EMAIL)
            .with(&users::password, hash);
        world.commit(Mutation::create(row)).await;
        world
    }

    async fn commit(&self, op: Mutation) {
        let write = Write { actor: None, at: self.clock.now(), ops: vec![op] };
        self.auth.committer.commit(write).await.unwrap();
    }

    async fn set(&self, set: (&'static Field, Value)) {
        self.commit(Mutation::update(&USERS, self.user, vec![set], Precondition::None)).await;
    }

    async fn login(&self, mode: SessionMode) -> SignIn {
        self.try_login("Alice@Example.com", PASSWORD, None, mode).await.unwrap()
    }

    async fn try_login(
        &self,
        email: &str,
        password: &str,
        otp: Option<&str>,
        mode: SessionMode,
    ) -> Result<SignIn, Error> {
        self.auth.login(Login { email, password, otp }, mode, &ClientInfo::default()).await
    }

    async fn refresh(&self, token: &str) -> String {
        self.auth
            .refresh(token, SessionMode::Json, &ClientInfo::default())
            .await
            .unwrap()
            .refresh_token
            .unwrap()
    }

    async fn sessions(&self) -> usize {
        self.store.read_sessions(self.user).await.unwrap().len()
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.directory).unwrap();
    }
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "an answer is looked at once")]
fn assert_refused<T: std::fmt::Debug>(answer: Result<T, Error>) {
    assert!(matches!(answer, Err(Error::InvalidCredentials)), "{answer:?}");
}

#[tokio::test]
async fn an_access_token_authenticates_until_it_expires() {
    let world = World::new().await;

    let signed_in = world.login(SessionMode::Json).await;

    assert_eq!(signed_in.expires_in, Duration::from_mins(15));
    let identity = world.auth.recognise(&signed_in.access_token, None).await.unwrap();
    assert_eq!(identity.actor.user, Some(world.user));
    assert_eq!(identity.credential, signed_in.identity.credential);
    assert_eq!(identity.expires, signed_in.identity.expires);
    assert_eq!(identity.expires, Some(Timestamp::from_millis(1_795_303_907_000)));
    world.pass(900);
    let late = world.auth.recognise(&signed_in.access_token, None).await;
    assert!(matches!(late, Err(Error::TokenExpired)));
    let user = world.store.find(&USERS, Key::Uuid(world.user)).await.unwrap().unwrap();
    assert!(user.get(&users::last_access).is_some());
}

#[tokio::test]
async fn every_failed_sign_in_gets_the_same_error() {
    let world = World::new().await;

    assert_refused(world.try_login(EMAIL, "wrong", None, SessionMode::Json).await);
    assert_refused(world.try_login(EMAIL, "", None, SessionMode::Json).await);
    assert_refused(world.try_login("bob@example.com", PASSWORD, None, SessionMode::Json).await);
    world.set(users::status.to(AccountStatus::Suspended)).await;
    assert_refused(world.try_login(EMAIL, PASSWORD, None, SessionMode::Json).await);
    world.set(users::status.to(AccountStatus::Active)).await;
    world.set(users::password.to(Value::Null)).await;
    assert_refused(world.try_login(EMAIL, PASSWORD, None, SessionMode::Json).await);
    assert_eq!(world.sessions().await, 0);
}

#[tokio::test]
async fn a_refused_sign_in_is_delayed() {
    let stall = Duration::from_millis(60);
    let world = World::with(|config| config.login_stall = stall).await;
    let start = std::time::Instant::now();

    assert_refused(world.try_login(EMAIL, "wrong", None, SessionMode::Json).await);

    assert!(start.elapsed() >= stall);
}

#[tokio::test]
async fn an_outdated_hash_is_rehashed_on_sign_in() {
    let world = World::new().await;
    let other = HashConfig { memory_kib: 16, passes: 2, lanes: 1 };
    let hash = Passwords::new(other).hash(PASSWORD).await.unwrap();
    world.set(users::password.to(hash.as_str())).await;

    world.login(SessionMode::Json).await;

    let user = world.store.find(&USERS, Key::Uuid(world.user)).await.unwrap().unwrap();
    let renewed = user.get(&users::password).unwrap();
    assert!(renewed.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{renewed}");
    world.login(SessionMode::Json).await;
}

#[tokio::test]
async fn a_suspension_applies_to_existing_tokens() {
    let world = World::new().await;
    let signed_in = world.login(SessionMode::Json).await;
    world.auth.recognise(&signed_in.access_token, None).await.unwrap();

    world.set(users::status.to(AccountStatus::Suspended)).await;

    assert_refused(world.auth.recognise(&signed_in.access_token, None).await);
    assert_refused(
        world
            .auth
            .refresh(&signed_in.refresh_token.unwrap(), SessionMode::Json, &ClientInfo::default())
            .await,
    );
    assert!(world.auth.renew(&signed_in.identity).await.unwrap().is_none());
}

#[tokio::test]
async fn a_static_token_is_valid_until_it_is_changed() {
    let world = World::new().await;
    world.set(users::token.to(static_token::digest("a-long-static-token"))).await;

    let identity = world.auth.recognise("a-long-static-token", None).await.unwrap();

    assert_eq!((identity.actor.user, identity.expires), (Some(world.user), None));
    assert!(world.auth.renew(&identity).await.unwrap().is_some());
    assert_refused(world.auth.recognise("another-token", None).await);
    assert_refused(world.auth.recognise("", None).await);
    world.set(users::token.to(static_token::digest("a-new-static-token"))).await;
    assert_refused(world.auth.recognise("a-long-static-token", None).await);
    assert!(world.auth.renew(&identity).await.unwrap().is_none());
}

#[tokio::test]
async fn forged_and_foreign_tokens_are_refused() {
    let world = World::new().await;
    let elsewhere = World::with(|config| config.secret = Secret("another".repeat(8))).await;
    let forged = elsewhere.login(SessionMode::Json).await;

    let answer = world.auth.recognise(&forged.access_token, None).await;

    assert!(matches!(answer, Err(Error::InvalidToken)), "{answer:?}");
    assert_refused(
        world
            .auth
            .refresh(&forged.refresh_token.unwrap(), SessionMode::Json, &ClientInfo::default())
            .await,
    );
    assert_refused(
        world
            .auth
            .refresh(&forged.access_token, SessionMode::Session, &ClientInfo::default())
            .await,
    );
    assert_refused(world.auth.recognise("eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJtZSJ9.AAAA", None).await);
}

#[tokio::test]
async fn the_session_limit_ends_the_least_recently_refreshed_session() {
    let world = World::with(|config| config.sessions_per_user_max = 2).await;
    let oldest = world.login(SessionMode::Json).await;
    world.pass(1);
    let idle = world.login(SessionMode::Json).await;
    world.pass(1);
    let token = oldest.refresh_token.unwrap();
    let refreshed =
        world.auth.refresh(&token, SessionMode::Json, &ClientInfo::default()).await.unwrap();
    world.pass(1);

    let newest = world.login(SessionMode::Json).await;

    assert_refused(world.auth.recognise(&idle.access_token, None).await);
    world.auth.recognise(&refreshed.access_token, None).await.unwrap();
    world.auth.recognise(&newest.access_token, None).await.unwrap();
    assert_eq!(world.store.read_sessions(world.user).await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_database_stores_no_refresh_token() {
    let world = World::new().await;
    let token = world.login(SessionMode::Json).await.refresh_token.unwrap();

    let row = world.store.read_sessions(world.user).await.unwrap().remove(0);

    assert_eq!(row.collection(), &SESSIONS);
    assert!(!format!("{row:?}").contains(&token[32..]));
}

#[tokio::test]
async fn a_concurrent_password_change_aborts_the_sign_in() {
    let world = World::new().await;
    let user = world.store.find(&USERS, Key::Uuid(world.user)).await.unwrap().unwrap();
    world.set(users::password.to("a newer hash")).await;

    let client = ClientInfo::default();
    let begun = world.auth.begin(&user, PASSWORD, vec![], SessionMode::Json, &client).await;

    assert!(matches!(begun, Err(Error::Forbidden(_))), "{begun:?}");
    assert_eq!(world.sessions().await, 0);
}

#[tokio::test]
async fn a_sweep_ends_only_expired_sessions() {
    let world = World::with(|config| config.refresh_token_ttl = Duration::from_secs(100)).await;
    world.login(SessionMode::Json).await;
    world.pass(60);
    let younger = world.login(SessionMode::Json).await;
    world.pass(60);

    world.auth.end_expired_sessions().await.unwrap();

    assert_eq!(world.store.read_sessions(world.user).await.unwrap().len(), 1);
    world.auth.recognise(&younger.access_token, None).await.unwrap();
}

#[tokio::test]
async fn a_throttled_sign_in_is_refused_before_hashing() {
    let mut world = World::new().await;
    let cheap = HashConfig { memory_kib: 8, passes: 1, lanes: 1 };
    world.auth.passwords = Arc::new(Passwords::with_slots(cheap, 0, 0));
    let login = async || world.try_login(EMAIL, PASSWORD, None, SessionMode::Json).await;
    // A password that could not be checked does not count.
    for _ in 0..20 {
        assert!(matches!(login().await, Err(Error::TooBusy { .. })));
    }

    for _ in 0..100 {
        drop(world.auth.throttle.begin(ThrottledAction::Password, EMAIL, None));
    }

    assert!(matches!(login().await, Err(Error::RequestsExceeded(_))));
}
