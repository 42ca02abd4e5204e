//! Databases that every released schema was written to: all they hold is still there after they have been brought up to date.
//!
//! `EMOSTREAM_UPDATE=1` writes the newest one if there is none; what is there is never written again.

use std::path::{Path, PathBuf};

use emostream_protocol::Position;
use emostream_store::{
    ArchiveBatch, ArchiveSource, ChannelChange, MomentEdit, NewEmote, NewSettings, Role, Store, StoreError,
    StoreOptions,
};

use crate::{
    archive::{all, epoch, source, window},
    channels::{add, named},
    moments::moment,
    placement::{edge, lease, limits, open, report, reserve, times},
    setup::{NOW, Place},
    users::someone,
};

fn fixture(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/fixtures/schema-{version}.db"))
}

/// Opens a copy of a fixture.
async fn opened(place: &Place, version: u32) -> Store {
    let file = Path::new(place.url.strip_prefix("sqlite://").unwrap());
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::copy(fixture(version), file).unwrap();
    place.open().await
}

#[tokio::test]
async fn schema_1_is_brought_up_to_date() {
    let place = Place::sqlite();
    let store = opened(&place, 1).await;
    let users = store.users(None, 10).await.unwrap().items;
    let facts: Vec<_> = users
        .iter()
        .map(|user| (user.name.as_str(), user.role, user.password_hash.as_str(), user.tier))
        .collect();
    assert_eq!(
        facts,
        [("Ana Žižek", Role::Admin, "$hash$1", None), ("ben", Role::Viewer, "$hash$2", Some(3))]
    );
    assert_eq!(store.user_by_name("ANA ŽIŽEK").await.unwrap().as_ref(), users.first());
    assert_eq!(add(&store, "main").await.id, 1);
}

/// One of everything that schema 3 holds.
async fn fill(store: &Store) {
    store.create_user(&someone(1, "Ana Žižek", Role::Admin), NOW).await.unwrap();
    fill_others(store).await;
}

/// All but users.
async fn fill_others(store: &Store) {
    let main = named("main");
    add(store, "main").await;
    let change = ChannelChange {
        recording_started_us: Some(Some(NOW)),
        seed_hash: Some(Some("ff".into())),
        ..ChannelChange::default()
    };
    store.update_channel(&main, &change).await.unwrap();
    let second = NewSettings { document: r#"{"rule":{"kind":"plain"}}"#, by: "ana" };
    store.put_settings(&main, Some(1), &second, NOW + 1).await.unwrap();
    store.mark_published(&main, 1).await.unwrap();
    let emote = NewEmote { name: ":goal:", media_type: "image/png", image: &[137, 80] };
    store.put_emote(&main, &emote, 10, NOW).await.unwrap();
    let batch = ArchiveBatch { windows: vec![window("main", 1, 7)], moments: vec![moment(7), moment(8)] };
    store.archive(&batch, &source(), 42).await.unwrap();
    let edit = MomentEdit { title: Some(Some("Goal".into())), hidden: Some(true), ..MomentEdit::default() };
    store.edit_moment(&main, &moment(8).id, &edit, "ana", NOW).await.unwrap();
}

#[tokio::test]
async fn schema_3_is_read() {
    let place = Place::sqlite();
    if std::env::var_os("EMOSTREAM_UPDATE").is_some() && !fixture(3).exists() {
        let url = format!("sqlite://{}", fixture(3).display());
        let store = Store::open(&url, &StoreOptions::default()).await.unwrap();
        fill(&store).await;
        store.close().await;
    }
    let store = opened(&place, 3).await;
    let main = named("main");
    assert_eq!(store.user_by_name("ana žižek").await.unwrap().unwrap().id, someone(1, "", Role::Admin).id);
    let channel = store.channel(&main).await.unwrap().unwrap();
    assert_eq!((channel.title.as_str(), channel.seed_hash.as_deref()), ("The main", Some("ff")));
    assert_eq!((channel.recording_started_us, channel.created_us, channel.closed), (Some(NOW), NOW, false));
    let history = store.settings_history(&main, None, 10).await.unwrap().items;
    let facts: Vec<_> = history.iter().map(|v| (v.version, v.document.as_str(), v.published)).collect();
    assert_eq!(facts, [(2, r#"{"rule":{"kind":"plain"}}"#, false), (1, "{}", true)]);
    assert_eq!(store.get_emote(&main, ":goal:").await.unwrap().unwrap().image, vec![137, 80]);
    assert_eq!(store.windows(&all(&main)).await.unwrap().items, [window("main", 1, 7)]);
    assert_eq!(store.moments(&all(&main), false).await.unwrap().items, [moment(7)]);
    let edited = store.moment(&main, &moment(8).id).await.unwrap().unwrap();
    assert_eq!((edited.title.as_deref(), edited.hidden, edited.edited_us), (Some("Goal"), true, Some(NOW)));
    assert_eq!(edited.position, Position { epoch: epoch(1), seq: moment(8).position.seq });
    assert_eq!(store.archive_position(&source()).await, Ok(Some(42)));
    let other = ArchiveSource { partition: 1, ..source() };
    assert_eq!(store.archive_position(&other).await, Ok(None));
}

/// What schema 5 holds beside.
async fn fill_placement(store: &Store) {
    let (a, ana) = (edge("a", 1), someone(1, "", Role::Viewer).id);
    store.put_cluster("west", Some(500), NOW).await.unwrap();
    open(store, &edge("a", 9), 1, &[], 0).await;
    open(store, &a, 1, &[], 0).await;
    for (id, device) in [(1, "phone"), (2, "laptop"), (3, "tv")] {
        reserve(store, &lease(id, ana, device, &a), 0).await;
    }
    open(store, &a, 2, &[1, 2], 1).await;
    store.end_lease(ana, "laptop", &times(1)).await.unwrap();
    store.set_draining("a", true).await.unwrap();
}

#[tokio::test]
async fn schema_5_is_read() {
    let place = Place::sqlite();
    if std::env::var_os("EMOSTREAM_UPDATE").is_some() && !fixture(5).exists() {
        let url = format!("sqlite://{}", fixture(5).display());
        let store = Store::open(&url, &StoreOptions::default()).await.unwrap();
        fill(&store).await;
        fill_placement(&store).await;
        store.close().await;
    }
    let store = opened(&place, 5).await;
    assert_eq!(store.cluster("west").await.unwrap().unwrap().capacity, Some(500));
    let edges = store.edges().await.unwrap();
    let facts: Vec<_> =
        edges.iter().map(|e| (e.name.as_str(), e.number, e.is_draining, e.heard_us)).collect();
    assert_eq!(facts, [("a", 2, true, times(1).now_us)]);
    let leases = store.leases_of(someone(1, "", Role::Viewer).id, &times(1)).await.unwrap();
    let facts: Vec<_> = leases.iter().map(|l| (l.device_id.as_str(), l.is_connected, l.since_us)).collect();
    assert_eq!(facts, [("tv", false, NOW), ("phone", true, times(1).now_us)]);
    let orders = store.take_report(&report(&edge("a", 1), 3), &limits(), &times(2)).await;
    let orders = orders.unwrap();
    assert_eq!((orders.close.len(), orders.drain), (1, true));
    let replaced = store.take_report(&report(&edge("a", 9), 2), &limits(), &times(2)).await;
    assert!(replaced.unwrap().report_all, "the start before is remembered");
}

/// What schema 6 is about: of names that look the same, an older one has more than one.
#[tokio::test]
async fn schema_6_knows_what_names_look_like_and_leaves_older_accounts_alone() {
    let place = Place::sqlite();
    if std::env::var_os("EMOSTREAM_UPDATE").is_some() && !fixture(6).exists() {
        let url = format!("sqlite://{}", fixture(6).display());
        let store = Store::open(&url, &StoreOptions::default()).await.unwrap();
        store.create_user(&someone(1, "Straße", Role::Admin), NOW).await.unwrap();
        store.close().await;
    }
    let conflict = Err(StoreError::Conflict { what: "user name" });
    let store = opened(&place, 6).await;
    assert_eq!(store.create_user(&someone(2, "STRASSE", Role::Viewer), NOW).await, conflict);
    store.close().await;

    // Two of before that look the same, of which one can hardly be seen.
    let place = Place::sqlite();
    let file = Path::new(place.url.strip_prefix("sqlite://").unwrap());
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::copy(fixture(1), file).unwrap();
    let mut connection = <sqlx::SqliteConnection as sqlx::Connection>::connect(&place.url).await.unwrap();
    let user = "INSERT INTO users SELECT randomblob(16), 'ben' || char(8203), 'ben' || char(8203), role, password_hash, tier,
                created_us, credentials_changed_us FROM users WHERE name = 'ben'";
    sqlx::raw_sql(user).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let store = place.open().await;
    for name in ["ben", "ben\u{200b}"] {
        assert_eq!(store.user_by_name(name).await.unwrap().unwrap().name, name, "both log in as ever");
    }
    for (number, name) in [(7, "BEN"), (8, "ｂｅｎ")] {
        assert_eq!(store.create_user(&someone(number, name, Role::Viewer), NOW).await, conflict, "{name}");
    }
}

/// The steps as they were released: they are never changed, so a database that they have made is what an older version left.
const STEPS: [&str; 5] = [
    include_str!("../../src/migrate/0001-users.sql"),
    include_str!("../../src/migrate/0002-channels.sql"),
    include_str!("../../src/migrate/0003-archive.sql"),
    include_str!("../../src/migrate/0004-clusters.sql"),
    include_str!("../../src/migrate/0005-leases.sql"),
];

#[tokio::test]
async fn every_older_schema_is_brought_up_to_date_on_postgresql() {
    let Some(place) = Place::postgres("older_schemas").await else { return };
    for version in 1..=STEPS.len() {
        let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&place.url).await.unwrap();
        let fresh = "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE emostream_schema (version BIGINT NOT NULL);";
        let user = "INSERT INTO users VALUES (decode(repeat('07', 16), 'hex'), 'Ana', 'ana', 'admin', '$hash', 2, 1, 1);";
        let number = format!("INSERT INTO emostream_schema VALUES ({version});");
        let script = [fresh, &STEPS[..version].concat(), user, &number].concat();
        sqlx::raw_sql(sqlx::AssertSqlSafe(script)).execute(&mut connection).await.unwrap();
        let store = place.open().await;
        let ana = store.user_by_name("ANA").await.unwrap().unwrap();
        assert_eq!((ana.role, ana.tier), (Role::Admin, Some(2)), "from schema {version}");
        let alike = store.create_user(&someone(9, "Ａｎａ", Role::Viewer), NOW).await;
        assert_eq!(alike, Err(StoreError::Conflict { what: "user name" }), "from schema {version}");
        fill_others(&store).await;
        store.close().await;
        assert_eq!(place.open().await.channels(None, 10).await.unwrap().items.len(), 1);
    }
}
