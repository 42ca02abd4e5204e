//! Two processes with control on one PostgreSQL. Only where the environment names a server to make a database on.

use serde_json::{Value, json};
use sqlx::Connection as _;

use super::{Edge, KEY, call, place, start};
use crate::harness::{client::get, wait_for};

/// A database of its own; `None` where there is no server.
async fn database(name: &str) -> Option<String> {
    let server = std::env::var("EMOSTREAM_TEST_POSTGRES").ok()?;
    let mut admin = sqlx::PgConnection::connect(&format!("{server}/postgres")).await.unwrap();
    for statement in [format!("DROP DATABASE IF EXISTS {name}"), format!("CREATE DATABASE {name}")] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut admin).await.unwrap();
    }
    Some(format!("store.url={server}/{name}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_controls_on_one_store_one_places_and_the_other_takes_over() {
    let Some(store) = database("t_two_controls").await else { return };
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let first = start(dirs[0].path(), &[&store]);
    let mut edge = Edge::join(first.address, "north-1", "north", 9).await;
    assert_eq!(place(first.address, None, json!({})).await.status, 200);
    let second = start(dirs[1].path(), &[&store]);
    let role = async |address| get(address, "/readyz").await.unwrap().json()["control"].clone();
    assert_eq!(
        (role(first.address).await, role(second.address).await),
        (json!("places"), json!("stands-by"))
    );
    let refused = place(second.address, None, json!({})).await;
    assert_eq!(
        (refused.status, refused.problem().as_deref()),
        (503, Some("control-unavailable")),
        "{refused:?}"
    );
    assert!(refused.header("retry-after").is_some());
    edge.address = second.address;
    assert_eq!(edge.send(0, &[], &[]).await.status, 503);
    let keys = call(second.address, "GET", "/internal/v1/keys", Some(KEY), &Value::Null).await;
    assert_eq!(keys.status, 503, "{keys:?}");
    edge.address = first.address;
    edge.tell(0, &[], &[]).await;
    assert_eq!(place(first.address, None, json!({})).await.status, 200);
    // It ends without a word.
    first.kill9();
    wait_for("the second to place", async || (role(second.address).await == "places").then_some(())).await;
    edge.address = second.address;
    let mut line = Value::Null;
    // Those who waited at the first have time to come first.
    let placed = wait_for("a place", async || {
        edge.tell(0, &[], &[]).await;
        let answer = place(second.address, None, json!({"line": line})).await;
        if answer.problem().as_deref() == Some("no-room") {
            line = answer.json()["line"]["token"].clone();
        }
        (answer.status == 200).then_some(answer)
    });
    assert_eq!(placed.await.json()["edge"], "north-1");
    // The first comes back, and stands by.
    let first = start(dirs[0].path(), &[&store]);
    assert_eq!(role(first.address).await, "stands-by");
}
