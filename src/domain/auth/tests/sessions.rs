//! Refreshes, and the ends of sessions.

use super::*;

#[tokio::test]
async fn a_token_works_until_its_successor_is_used_then_ends_the_session() {
    let world = World::new().await;
    let first = world.login(SessionMode::Cookie).await.refresh_token.unwrap();

    let second = world.refresh(&first).await;
    world.pass(3600);
    assert_eq!(world.refresh(&first).await, second);
    let third = world.refresh(&second).await;
    assert_refused(world.auth.refresh(&first, SessionMode::Json, &ClientInfo::default()).await);
    assert_eq!(world.refresh(&second).await, third);
    world.pass(60);
    assert_refused(world.auth.refresh(&first, SessionMode::Json, &ClientInfo::default()).await);
    assert_refused(world.auth.refresh(&third, SessionMode::Json, &ClientInfo::default()).await);
    assert_eq!(world.sessions().await, 0);
}

#[tokio::test]
async fn a_copied_token_used_by_two_clients_ends_the_session() {
    let world = World::new().await;
    let (owner, thief) =
        (ClientInfo::default(), ClientInfo::new("203.0.113.9".parse().ok(), Some("Copy")));
    let first = world.login(SessionMode::Json).await.refresh_token.unwrap();

    let second = world.refresh(&first).await;
    world.pass(11);
    assert_eq!(world.refresh(&first).await, second);
    assert_refused(world.auth.refresh(&first, SessionMode::Json, &thief).await);

    assert_refused(world.auth.refresh(&second, SessionMode::Json, &owner).await);
    assert_eq!(world.sessions().await, 0);
}

#[tokio::test]
async fn concurrent_refreshes_get_the_same_successor() {
    let world = World::new().await;
    let token = world.login(SessionMode::Json).await.refresh_token.unwrap();

    let answers = futures_util::future::join_all((0..8).map(|_| world.refresh(&token))).await;

    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    world.refresh(&answers[0]).await;
}

#[tokio::test]
async fn a_refresh_renews_the_lifetime() {
    let world = World::new().await;
    let day = 24 * 3600;
    let first = world.login(SessionMode::Json).await.refresh_token.unwrap();

    world.pass(6 * day);
    let second = world.refresh(&first).await;
    world.pass(6 * day);
    let third = world.refresh(&second).await;
    world.pass(7 * day);

    assert_refused(world.auth.refresh(&third, SessionMode::Json, &ClientInfo::default()).await);
}

#[tokio::test]
async fn an_access_token_ends_with_its_session() {
    let world = World::with(|config| config.refresh_token_ttl = Duration::from_mins(1)).await;
    let signed_in = world.login(SessionMode::Json).await;
    assert_eq!(signed_in.expires_in, Duration::from_mins(1));
    world.auth.recognise(&signed_in.access_token, None).await.unwrap();

    world.auth.end_devices(&Actor::denied(), world.user, None).await.unwrap();

    assert_refused(world.auth.recognise(&signed_in.access_token, None).await);
    world.pass(60);
    let late = world.auth.recognise(&signed_in.access_token, None).await;
    assert!(matches!(late, Err(Error::TokenExpired)), "{late:?}");
}

#[tokio::test]
async fn a_stale_rotation_is_refused() {
    let world = World::new().await;
    let first = world.login(SessionMode::Json).await.refresh_token.unwrap();
    let row = world.store.read_sessions(world.user).await.unwrap().remove(0);
    let session = crate::domain::auth::sessions::Session::read(&row).unwrap();
    let second = world.refresh(&first).await;
    let third = world.refresh(&second).await;

    let late = session
        .rotated(ClientInfo::default(), world.clock.now(), world.auth.lifetime(SessionMode::Json))
        .rotate(session.generation);
    let write = Write { actor: None, at: world.clock.now(), ops: vec![late] };
    let answer = world.auth.committer.commit(write).await;

    assert!(matches!(answer, Err(Error::Forbidden(_))), "{answer:?}");
    assert_eq!(world.refresh(&second).await, third);
}

#[tokio::test]
async fn a_rotated_session_token_is_valid_for_the_grace_period() {
    let world = World::new().await;
    let first = world.login(SessionMode::Session).await;
    assert_eq!(first.refresh_token, None);
    assert_eq!(first.expires_in, Duration::from_hours(24));
    world.pass(60);

    let second = world
        .auth
        .refresh(&first.access_token, SessionMode::Session, &ClientInfo::default())
        .await
        .unwrap();
    world.pass(10);
    let again = world
        .auth
        .refresh(&first.access_token, SessionMode::Session, &ClientInfo::default())
        .await
        .unwrap();

    assert_eq!(again.access_token, second.access_token);
    world.auth.recognise(&first.access_token, None).await.unwrap();
    world.auth.recognise(&second.access_token, None).await.unwrap();
    world.pass(1);
    assert_refused(world.auth.recognise(&first.access_token, None).await);
    assert_refused(
        world.auth.refresh(&first.access_token, SessionMode::Session, &ClientInfo::default()).await,
    );
    world.auth.recognise(&second.access_token, None).await.unwrap();
    assert_refused(
        world.auth.refresh(&second.access_token, SessionMode::Json, &ClientInfo::default()).await,
    );
}

#[tokio::test]
async fn an_access_token_is_not_accepted_as_a_session_token() {
    let world = World::new().await;
    let signed_in = world.login(SessionMode::Json).await;

    assert_refused(
        world
            .auth
            .refresh(&signed_in.access_token, SessionMode::Session, &ClientInfo::default())
            .await,
    );
    world.auth.logout(&signed_in.access_token, SessionMode::Session).await.unwrap();

    world.auth.recognise(&signed_in.access_token, None).await.unwrap();
}

#[tokio::test]
async fn a_logout_ends_only_its_own_session() {
    let world = World::new().await;
    let stays = world.login(SessionMode::Json).await;
    let goes = world.login(SessionMode::Json).await;
    let used = goes.refresh_token.unwrap();
    world.refresh(&used).await;

    world.auth.logout(&used, SessionMode::Json).await.unwrap();

    assert_refused(world.auth.recognise(&goes.access_token, None).await);
    assert_refused(world.auth.refresh(&used, SessionMode::Json, &ClientInfo::default()).await);
    assert!(world.auth.renew(&goes.identity).await.unwrap().is_none());
    assert!(world.auth.renew(&stays.identity).await.unwrap().is_some());
    world.auth.logout(&used, SessionMode::Json).await.unwrap();
    world.auth.logout("nonsense", SessionMode::Session).await.unwrap();
    world.auth.end(&stays.identity).await.unwrap();
    assert_refused(world.auth.recognise(&stays.access_token, None).await);
}

#[tokio::test]
async fn an_expired_session_token_can_still_log_out_but_not_refresh() {
    let world = World::new().await;
    let signed_in = world.login(SessionMode::Session).await;
    // Token times are whole seconds: this token expires just before its session.
    world.clock.advance(Duration::from_millis(24 * 3_600_000 - 100));

    assert_refused(
        world
            .auth
            .refresh(&signed_in.access_token, SessionMode::Session, &ClientInfo::default())
            .await,
    );
    world.auth.logout(&signed_in.access_token, SessionMode::Session).await.unwrap();

    assert_eq!(world.sessions().await, 0);
}
