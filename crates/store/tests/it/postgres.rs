//! What is PostgreSQL's alone: certificates, how many connections there are, and a server that stops and comes back. Each test
//! has a server of its own, wherever the environment names one for the others.

use std::{path::Path, process::Command, time::Duration};

use emostream_store::{Claim, Reserved, Store, StoreError, StoreOptions};
use sqlx::Connection;

use crate::{
    channels::{add, named},
    placement::{edge, lease, limits, open, report, reserve, times, user},
};

/// A server, which is stopped and removed in the end.
struct Server {
    folder: String,
    port: String,
}

impl Server {
    /// `None` where the environment does not ask for tests on PostgreSQL.
    fn start(prepare: &str) -> Option<Self> {
        std::env::var_os("EMOSTREAM_TEST_POSTGRES")?;
        let told =
            run("", &format!("postgres_start && {prepare} && echo $postgres_dir $EMOSTREAM_TEST_POSTGRES"));
        let (folder, url) = told.trim().split_once(' ').unwrap();
        let (folder, port) = (folder.to_owned(), url.rsplit(':').next().unwrap().to_owned());
        Some(Self { folder, port })
    }

    fn run(&self, commands: &str) {
        run(&self.folder, commands);
    }

    /// By name: its certificate is for that.
    fn url(&self, query: &str) -> String {
        format!("postgres://postgres:secret@localhost:{}/postgres{query}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.run("postgres_stop");
    }
}

/// Runs functions of `scripts/postgres.sh` on the server of a folder.
fn run(folder: &str, commands: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let script = format!(". scripts/postgres.sh; postgres_dir={folder}; {commands}");
    let out = Command::new("bash").args(["-c", &script]).current_dir(root).output().unwrap();
    assert!(out.status.success(), "{commands}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// Opens what is expected to be refused.
async fn refused(url: &str) -> StoreError {
    let options = StoreOptions { acquire_timeout: Duration::from_secs(2), ..StoreOptions::default() };
    match Store::open(url, &options).await {
        Ok(_) => panic!("opened {url}"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn the_servers_certificate_is_checked() {
    let Some(server) = Server::start("postgres_tls && postgres_pause fast && postgres_again") else { return };
    let with = |ca: &str| server.url(&format!("?sslmode=verify-full&sslrootcert={}/tls/{ca}", server.folder));
    let store = Store::open(&with("ca.crt"), &StoreOptions::default()).await.unwrap();
    add(&store, "main").await;
    let mut admin = sqlx::PgConnection::connect(&server.url("?sslmode=disable")).await.unwrap();
    let query =
        "SELECT COUNT(*) FILTER (WHERE ssl), COUNT(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE application_name = 'emostream'";
    let (encrypted, all): (i64, i64) = sqlx::query_as(query).fetch_one(&mut admin).await.unwrap();
    assert!(encrypted == all && all > 0, "{encrypted} of {all} connections are encrypted");
    let of_another = refused(&with("other.crt")).await;
    let by_address = refused(&with("ca.crt").replace("localhost", "127.0.0.1")).await;
    for (refused, why) in [(of_another, "UnknownIssuer"), (by_address, "not valid for name")] {
        let StoreError::Unavailable(words) = refused else { panic!("{refused:?}") };
        assert!(
            words.starts_with("no TLS to PostgreSQL, see sslmode and sslrootcert in store.url: "),
            "{words}"
        );
        assert!(words.contains(why) && !words.contains('\n') && !words.contains("secret"), "{words}");
    }
    let missing = refused(&with("missing.crt")).await.to_string();
    assert!(missing.contains("sslrootcert") && !missing.contains("secret"), "{missing}");
}

#[tokio::test]
async fn a_server_without_certificate_is_refused_where_one_is_wanted() {
    let Some(server) = Server::start("true") else { return };
    let StoreError::Unavailable(words) = refused(&server.url("?sslmode=require")).await else { panic!() };
    assert!(words.contains("server does not support TLS"), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_fail_while_the_server_is_away_and_work_when_it_is_back() {
    let Some(server) = Server::start("true") else { return };
    let store = Store::open(&server.url(""), &StoreOptions::default()).await.unwrap();
    let (a, two) = (edge("a", 1), user(&store, 2).await);
    add(&store, "main").await;
    open(&store, &a, 1, &[], 0).await;
    reserve(&store, &lease(1, two, "phone", &a), 0).await;
    for (number, mode) in [(2, "fast"), (3, "immediate")] {
        server.run(&format!("postgres_pause {mode}"));
        for _ in 0..20 {
            let calls = [
                store.channel(&named("main")).await.map(drop),
                store.ping().await,
                store.end_lease(two, "tv", &times(0)).await.map(drop),
                store.take_report(&report(&a, number), &limits(), &times(1)).await.map(drop),
            ];
            for refused in calls {
                let Err(StoreError::Unavailable(words)) = refused else { panic!("{refused:?}") };
                assert!(words.contains("PostgreSQL cannot be reached"), "{words}");
            }
        }
        server.run("postgres_again");
        // One of the calls that come looks whether it is back; until then they are refused as before.
        while let Err(error) = store.ping().await {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(store.channel(&named("main")).await.unwrap().is_some());
        open(&store, &a, number, &[1], 1).await;
        assert_eq!(store.leases_of(two, &times(1)).await.unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_between_two_calls_is_not_noticed() {
    let Some(server) = Server::start("true") else { return };
    let store = Store::open(&server.url(""), &StoreOptions::default()).await.unwrap();
    let (a, two) = (edge("a", 1), user(&store, 2).await);
    open(&store, &a, 1, &[], 0).await;
    for number in 0..3 {
        server.run("postgres_pause immediate && postgres_again");
        assert_eq!(store.leases_of(two, &times(0)).await.unwrap().len(), usize::from(number > 0));
        let again = reserve(&store, &lease(number, two, "phone", &a), 0).await;
        assert!(matches!(again, Reserved::Granted { .. }), "{again:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_no_more_connections_than_allowed() {
    let Some(server) = Server::start("true") else { return };
    let options = StoreOptions { readers: 3, ..StoreOptions::default() };
    let store = Store::open(&server.url(""), &options).await.unwrap();
    let two = user(&store, 2).await;
    let mut admin = sqlx::PgConnection::connect(&server.url("")).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200_u128 {
        let store = store.clone();
        tasks.spawn(async move {
            store.leases_of(two, &times(0)).await.unwrap();
            reserve(&store, &lease(number, two, "phone", &edge("a", 1)), 0).await;
        });
    }
    let query = "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'emostream'";
    let mut most = 0;
    while !tasks.is_empty() {
        while let Some(done) = tasks.try_join_next() {
            done.unwrap();
        }
        let connections: i64 = sqlx::query_scalar(query).fetch_one(&mut admin).await.unwrap();
        most = most.max(connections);
    }
    // Four write.
    assert!((2..=7).contains(&most), "{most} connections");
}

#[tokio::test]
async fn one_process_has_the_claim_until_it_ends_or_its_connection_does() {
    let Some(server) = Server::start("true") else { return };
    let open = async || Store::open(&server.url(""), &StoreOptions::default()).await.unwrap();
    let (one, other) = (open().await, open().await);
    let (mut first, mut second) = (one.claim(), other.claim());
    for _ in 0..3 {
        assert_eq!((first.hold().await, second.hold().await), (Ok(true), Ok(false)));
    }
    // Who goes, whether or not it says so, leaves it to the next.
    drop(first);
    until_held(&mut second).await;
    let mut first = one.claim();
    assert_eq!(first.hold().await, Ok(false));
    // The database is away: nobody knows. When it is back, whoever is first has it.
    server.run("postgres_pause fast");
    assert!(matches!(second.hold().await, Err(StoreError::Unavailable(_))));
    server.run("postgres_again");
    until_held(&mut first).await;
    assert_eq!((second.hold().await, first.hold().await), (Ok(false), Ok(true)));
}

async fn until_held(claim: &mut Claim) {
    let began = tokio::time::Instant::now();
    while claim.hold().await != Ok(true) {
        assert!(began.elapsed() < Duration::from_secs(180), "the claim is nobody's");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
