//! The accounts of others, one's own password, and the end of tokens.

use serde_json::{Value, json};

use super::{ADMIN_PASSWORD, call, login, new_user, start, try_login};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_with_a_new_role_a_new_password_and_the_account() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let address = server.address;
    let admin = login(address, "admin", ADMIN_PASSWORD).await;
    let me = async |token: &str| call(address, "GET", "/v1/me", Some(token), &Value::Null).await.status;
    let ada = new_user(address, &admin, "Ada", "broadcaster").await;
    assert_eq!(me(&ada).await, 200);
    let change = async |body: Value| {
        let answer = call(address, "PATCH", "/v1/users/ada", Some(&admin), &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let changed = change(json!({"role": "viewer"})).await;
    assert_eq!((&changed["username"], &changed["role"]), (&json!("Ada"), &json!("viewer")));
    assert_eq!(me(&ada).await, 401);
    let ada = login(address, "ada", "password of Ada").await;
    assert_eq!(call(address, "POST", "/v1/channels", Some(&ada), &json!({"name": "x"})).await.status, 403);
    change(json!({"password": "another password"})).await;
    assert_eq!(me(&ada).await, 401);
    let ada = login(address, "ada", "another password").await;
    // The same role again changes nothing.
    change(json!({"role": "viewer"})).await;
    assert_eq!(me(&ada).await, 200);
    assert_eq!(call(address, "DELETE", "/v1/users/ada", Some(&admin), &Value::Null).await.status, 204);
    assert_eq!(me(&ada).await, 401);
    new_user(address, &admin, "ada", "viewer").await;
    assert_eq!(me(&ada).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn ones_own_password_is_changed_by_who_knows_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let address = server.address;
    let token = login(address, "admin", ADMIN_PASSWORD).await;
    let change = async |current: &str, new: &str| {
        let body = json!({"current": current, "new": new});
        call(address, "POST", "/v1/me/password", Some(&token), &body).await
    };
    let wrong = change("not it", "a new password").await;
    assert_eq!((wrong.status, wrong.problem().as_deref()), (401, Some("credentials-wrong")));
    let short = change(ADMIN_PASSWORD, "short").await;
    assert_eq!((short.status, &short.json()["field"]), (400, &json!("new")));
    assert_eq!(change(ADMIN_PASSWORD, "a new password").await.status, 204);
    assert_eq!(call(address, "GET", "/v1/me", Some(&token), &Value::Null).await.status, 401);
    assert_eq!(try_login(address, "admin", ADMIN_PASSWORD).await.status, 401);
    login(address, "admin", "a new password").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_changes_things_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let address = server.address;
    let admin = login(address, "admin", ADMIN_PASSWORD).await;
    let ada = new_user(address, &admin, "Ada", "viewer").await;
    // All of them show the password that is right when they come. Whoever is second comes too late.
    let changes = (0..6).map(|n| {
        let (method, path) = if n == 5 { ("DELETE", "/v1/me") } else { ("POST", "/v1/me/password") };
        let new = format!("password number {n}");
        let body = match n {
            5 => json!({"password": "password of Ada"}),
            _ => json!({"current": "password of Ada", "new": new}),
        };
        let token = ada.clone();
        async move { call(address, method, path, Some(&token), &body).await.status }
    });
    let changed = futures_util::future::join_all(changes).await;
    assert_eq!(changed.iter().filter(|status| **status == 204).count(), 1, "{changed:?}");
    assert!(changed.iter().all(|status| [204, 401].contains(status)), "{changed:?}");
    let at = changed.iter().position(|status| *status == 204).unwrap();
    let now = try_login(address, "Ada", &format!("password number {at}")).await.status;
    assert_eq!(now, if at == 5 { 401 } else { 200 });
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_listed_in_pages_and_wrong_ones_are_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let address = server.address;
    let admin = login(address, "admin", ADMIN_PASSWORD).await;
    new_user(address, &admin, "Ada", "moderator").await;
    let get = async |path: &str| call(address, "GET", path, Some(&admin), &Value::Null).await.json();
    let first = get("/v1/users?limit=1").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = get(&format!("/v1/users?limit=1&cursor={cursor}")).await;
    let names: Vec<_> = [&first, &second].iter().map(|page| page["items"][0]["username"].clone()).collect();
    assert_eq!(names, ["admin", "Ada"]);
    assert_eq!((second["items"].as_array().unwrap().len(), &second["next_cursor"]), (1, &Value::Null));
    assert!(!first.to_string().contains("argon2"));

    let make = async |username: &str, password: &str, role: &str| {
        let body = json!({"username": username, "password": password, "role": role});
        call(address, "POST", "/v1/users", Some(&admin), &body).await
    };
    let taken = make("ADA", "long enough", "viewer").await;
    assert_eq!((taken.status, taken.problem().as_deref()), (409, Some("name-taken")));
    for (username, password, role, field) in [
        ("", "long enough", "viewer", "username"),
        ("a\u{7}b", "long enough", "viewer", "username"),
        ("bob", "short", "viewer", "password"),
        ("bob", "long enough", "king", "role"),
    ] {
        let answer = make(username, password, role).await;
        assert_eq!((answer.status, &answer.json()["field"]), (400, &json!(field)), "{answer:?}");
    }
    let none = call(address, "PATCH", "/v1/users/bob", Some(&admin), &json!({"role": "viewer"})).await;
    assert_eq!((none.status, none.problem().as_deref()), (404, Some("user-not-found")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_admin_stays() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let address = server.address;
    let admin = login(address, "admin", ADMIN_PASSWORD).await;
    let removed = call(address, "DELETE", "/v1/users/admin", Some(&admin), &Value::Null).await;
    assert_eq!((removed.status, removed.problem().as_deref()), (409, Some("conflict")));
    let demoted = call(address, "PATCH", "/v1/users/admin", Some(&admin), &json!({"role": "viewer"})).await;
    assert_eq!((demoted.status, demoted.problem().as_deref()), (409, Some("conflict")));
    let second = new_user(address, &admin, "second", "admin").await;
    assert_eq!(call(address, "DELETE", "/v1/users/admin", Some(&second), &Value::Null).await.status, 204);
}
