//! Accounts that people make and remove themselves.

use serde_json::{Value, json};

use super::{ADMIN_PASSWORD, call, login, start, try_login};
use crate::harness::{process::Server, signed::WITH_ADMIN};

fn new(username: &str) -> Value {
    json!({"username": username, "password": "a long password"})
}

#[tokio::test(flavor = "multi_thread")]
async fn who_registers_is_a_viewer_of_the_default_tier_and_can_leave_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let address = server.address;
    let wanted = json!({"username": "Ada", "password": "a long password", "tier": 1});
    let made = call(address, "POST", "/v1/register", None, &wanted).await;
    assert_eq!(made.status, 201, "{made:?}");
    // Choosing one's own tier is a matter of configuration.
    assert_eq!(made.json(), json!({"username": "Ada", "role": "viewer", "tier": 3}));
    let taken = call(address, "POST", "/v1/register", None, &new("ADA")).await;
    assert_eq!((taken.status, taken.problem().as_deref()), (409, Some("name-taken")));
    for (body, field) in [
        (json!({"username": "", "password": "a long password"}), "username"),
        (json!({"username": "guest:1", "password": "a long password"}), "username"),
        (json!({"username": "ＧＵＥＳＴ:1", "password": "a long password"}), "username"),
        (json!({"username": "ad\u{200b}min", "password": "a long password"}), "username"),
        (json!({"username": " Guest:1", "password": "a long password"}), "username"),
        (json!({"username": "eve", "password": "short"}), "password"),
        (json!({"username": "eve", "password": "a long password", "tier": 4}), "tier"),
        (json!({"username": "eve", "password": "a long password", "tier": 0}), "tier"),
        (json!({"username": "eve"}), "password"),
        (json!({"username": "eve", "password": "a long password", "role": "admin"}), "role"),
    ] {
        let answer = call(address, "POST", "/v1/register", None, &body).await;
        assert_eq!((answer.status, &answer.json()["field"]), (400, &json!(field)), "{body}");
    }
    let token = login(address, "ada", "a long password").await;
    let me = call(address, "GET", "/v1/me", Some(&token), &Value::Null).await.json();
    assert_eq!((&me["role"], &me["tier"], &me["devices_max"]), (&json!("viewer"), &json!(3), &json!(1)));
    let leave = async |token: &str, password: &str| {
        call(address, "DELETE", "/v1/me", Some(token), &json!({"password": password})).await
    };
    assert_eq!(leave(&token, "wrong").await.problem().as_deref(), Some("credentials-wrong"));
    assert_eq!(call(address, "DELETE", "/v1/me", None, &json!({"password": "x"})).await.status, 401);
    assert_eq!(leave(&token, "a long password").await.status, 204);
    assert_eq!(call(address, "GET", "/v1/me", Some(&token), &Value::Null).await.status, 401);
    assert_eq!(try_login(address, "ada", "a long password").await.status, 401);
    assert_eq!(call(address, "POST", "/v1/register", None, &new("ada")).await.status, 201);
    // Somebody must be left to look after it.
    let admin = login(address, "admin", ADMIN_PASSWORD).await;
    assert_eq!(leave(&admin, ADMIN_PASSWORD).await.problem().as_deref(), Some("conflict"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tiers_are_chosen_where_that_is_configured_and_changed_by_admins() {
    let dir = tempfile::tempdir().unwrap();
    let settings = ["--set", "accounts.choose_tier=true"];
    let server = Server::start(dir.path(), &[&WITH_ADMIN[..], &settings].concat());
    let address = server.address;
    let wanted = json!({"username": "Ada", "password": "a long password", "tier": 1});
    let made = call(address, "POST", "/v1/register", None, &wanted).await;
    assert_eq!((made.status, &made.json()["tier"]), (201, &json!(1)));
    assert_eq!(call(address, "POST", "/v1/register", None, &new("Bob")).await.json()["tier"], 3);
    let ada = login(address, "ada", "a long password").await;
    let admin = login(address, "admin", ADMIN_PASSWORD).await;
    let changed = call(address, "PATCH", "/v1/users/ada", Some(&admin), &json!({"tier": 2})).await;
    assert_eq!((changed.status, &changed.json()["tier"]), (200, &json!(2)));
    // A tier is no credential: who is logged in stays it.
    let me = call(address, "GET", "/v1/me", Some(&ada), &Value::Null).await;
    assert_eq!((me.status, &me.json()["devices_max"]), (200, &json!(2)), "{me:?}");
    let wrong = call(address, "PATCH", "/v1/users/ada", Some(&admin), &json!({"tier": 4})).await;
    assert_eq!((wrong.status, &wrong.json()["field"]), (400, &json!("tier")));
    let listed = call(address, "GET", "/v1/users", Some(&admin), &Value::Null).await.json();
    let tiers: Vec<_> = listed["items"].as_array().unwrap().iter().map(|user| user["tier"].clone()).collect();
    assert_eq!(tiers, [3, 2, 3]);
    let body = json!({"username": "Eve", "password": "a long password", "role": "viewer", "tier": 1});
    assert_eq!(call(address, "POST", "/v1/users", Some(&admin), &body).await.json()["tier"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn registration_is_limited_by_address_and_can_be_off() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--set", "accounts.registrations_per_minute=3"]);
    for n in 0..3 {
        let made = call(server.address, "POST", "/v1/register", None, &new(&format!("user{n}"))).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    // Nor is it told any more which names are taken.
    for name in ["user0", "user9"] {
        let refused = call(server.address, "POST", "/v1/register", None, &new(name)).await;
        assert_eq!((refused.status, refused.problem().as_deref()), (429, Some("rate-limited")), "{name}");
        assert!(refused.header("retry-after").is_some());
    }
    server.stop();
    let server = Server::start(dir.path(), &["--set", "accounts.registration=false"]);
    let refused = call(server.address, "POST", "/v1/register", None, &new("user9")).await;
    assert_eq!((refused.status, refused.problem().as_deref()), (403, Some("forbidden")));
    login(server.address, "user0", "a long password").await;
}
