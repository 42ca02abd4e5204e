//! System A's login and settings, with credentials from its `.env` file.

use std::{fs, net::SocketAddr, path::Path};

use serde_json::{Value, json};

use super::{clients::python, curl, post};
use crate::harness::process::{Process, Server, command};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const PASSWORD: &str = "correct horse";

/// A server in a directory with A's `.env` file.
fn start_with_dotenv(dir: &Path, args: &[&str]) -> Server {
    let dotenv = format!("TOKEN_SECRET={SECRET}\nADMIN_USERNAME=ada\nADMIN_PASSWORD=\"{PASSWORD}\"\n");
    fs::write(dir.join(".env"), dotenv).unwrap();
    let mut program = command();
    program
        .current_dir(dir)
        .args(["serve", "--listen", "127.0.0.1:0", "--set", "log.durability=os"])
        .args(args);
    Process::spawn(program).ready().unwrap_or_else(|ended| panic!("did not start: {ended:?}"))
}

fn login(address: SocketAddr) -> String {
    let body = json!({"username": "ada", "password": PASSWORD, "more": 1}).to_string();
    let (status, answer) = post(address, "/login", &body);
    assert_eq!((status, answer.as_object().unwrap().len()), (200, 1), "{answer}");
    format!("Authorization: Bearer {}", answer["token"].as_str().unwrap())
}

fn put(address: SocketAddr, path: &str, token: &str, body: &str) -> (u16, Value) {
    curl(address, path, &["-X", "PUT", "-H", token, "-H", "Content-Type: application/json", "-d", body])
}

fn list(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"emote": name})).collect()
}

#[test]
fn a_settings_page_logs_in_and_changes_everything() {
    let dir = tempfile::tempdir().unwrap();
    let server = start_with_dotenv(dir.path(), &["--preset", "emote-bursts"]);
    let base = format!("http://{}", server.address);
    let output = python("settings.py", &[&base, "ada", PASSWORD, SECRET]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let said: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(said[0]["username"], "ada");
    assert_eq!(said[0]["exp"].as_u64().unwrap(), said[0]["iat"].as_u64().unwrap() + 3_600);
    let of = |value| json!({"threshold": value});
    assert_eq!(said[1..4], [of(0.5), of(0.7), of(0.7)]);
    let of = |value| json!({"interval": value});
    assert_eq!(said[4..7], [of(100), of(50), of(50)]);
    // Where every emote was allowed the channel's buttons are listed, and from then on the list holds.
    let (before, changed, after) = (&said[7], &said[8], &said[9]);
    assert!(before.as_array().unwrap().contains(&json!({"emote": "🔥"})), "{before}");
    let changed = changed.as_array().unwrap();
    assert!(changed.contains(&json!({"emote": "💾", "isAllowed": false})), "{changed:?}");
    assert!(changed.contains(&json!({"emote": "💻", "isAllowed": true})), "{changed:?}");
    let number = before.as_array().unwrap().len();
    assert_eq!((changed.len(), after.as_array().unwrap().len()), (number + 2, number + 1));
    assert!(after.as_array().unwrap().contains(&json!({"emote": "💻"})), "{after}");
}

#[test]
fn a_login_with_wrong_credentials_is_a_401_and_a_bad_field_a_400() {
    let dir = tempfile::tempdir().unwrap();
    let server = start_with_dotenv(dir.path(), &[]);
    for (username, password) in [("ada", "wrong"), ("eve", PASSWORD)] {
        let body = json!({"username": username, "password": password}).to_string();
        let (status, answer) = post(server.address, "/login", &body);
        assert_eq!((status, answer), (401, json!({"error": "name or password is wrong"})));
    }
    for (body, named) in [
        (r#"{"username":"ada"}"#, "password: "),
        (r#"{"password":"x"}"#, "username: "),
        (r#"{"username":7,"password":"x"}"#, "username: "),
        (r#"{"username":"ada","password":null}"#, "password: "),
        (r#"{"username":"","password":"x"}"#, "username: "),
        ("{}", "username, password: "),
    ] {
        let (status, answer) = post(server.address, "/login", body);
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error"].as_str().unwrap().starts_with(named), "{body}: {answer}");
    }
}

#[test]
fn a_settings_need_a_token_and_a_bad_field_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let server = start_with_dotenv(dir.path(), &[]);
    let address = server.address;
    let token = login(address);
    for path in ["/settings/threshold", "/settings/interval", "/settings/allowed-emotes"] {
        for refused in [
            curl(address, path, &[]),
            curl(address, path, &["-H", "Authorization: Bearer x.y.z"]),
            curl(address, path, &["-X", "PUT", "-d", "{}"]),
        ] {
            assert!(refused.0 == 401 && refused.1["error"].is_string(), "{path}: {refused:?}");
        }
        assert_eq!(curl(address, path, &["-H", &token]).0, 200);
    }
    for (field, bodies) in [
        ("threshold", [r#"{"threshold":0}"#, r#"{"threshold":-1}"#, r#"{"threshold":"0.5"}"#, "{}"]),
        ("interval", [r#"{"interval":0}"#, r#"{"interval":-1}"#, r#"{"interval":1.5}"#, "{}"]),
    ] {
        for body in bodies {
            let (status, answer) = put(address, &format!("/settings/{field}"), &token, body);
            let error = answer["error"].as_str().unwrap_or_default();
            assert!(status == 400 && error.contains(field), "{body}: {answer}");
        }
    }
    for (body, named) in [
        (r#"[{"emote":"nope","isAllowed":true}]"#, "emote"),
        (r#"[{"isAllowed":true}]"#, "emote"),
        (r#"[{"emote":"🔥"}]"#, "isAllowed"),
        (r#"[{"emote":"🔥","isAllowed":"yes"}]"#, "isAllowed"),
    ] {
        let (status, answer) = put(address, "/settings/allowed-emotes", &token, body);
        assert!(status == 400 && answer["error"].as_str().unwrap().contains(named), "{body}: {answer}");
    }
    assert_eq!(curl(address, "/settings/threshold", &["-H", &token]).1, json!({"threshold": 0.5}));
}

#[test]
fn a_put_selects_the_plain_rule_whose_values_were_kept() {
    let dir = tempfile::tempdir().unwrap();
    let channels = "channels=[{name=\"main\",rule=\"normal\",interval=70,allowed_emotes=[\"👏\",\"🔥\"]}]";
    let server = start_with_dotenv(dir.path(), &["--set", channels]);
    let address = server.address;
    let token = login(address);
    let rule = || curl(address, "/v1/channels/main/settings", &["-H", &token]).1["rule"]["kind"].clone();
    assert_eq!(rule(), "full");
    assert_eq!(curl(address, "/settings/interval", &["-H", &token]).1, json!({"interval": 70}));
    assert_eq!(rule(), "full", "reading changes nothing");
    let changed = put(address, "/settings/threshold", &token, r#"{"threshold":12}"#);
    assert_eq!((changed.0, changed.1["threshold"].as_f64()), (200, Some(12.0)));
    assert_eq!(rule(), "plain");
    assert_eq!(curl(address, "/settings/interval", &["-H", &token]).1, json!({"interval": 70}));
    let allowed = || curl(address, "/settings/allowed-emotes", &["-H", &token]).1;
    let sorted = |names: &[&str]| {
        let mut names = names.to_vec();
        names.sort_unstable();
        list(&names)
    };
    assert_eq!(allowed(), sorted(&["👏", "🔥"]));
    let body = r#"[{"emote":":fire:","isAllowed":false},{"emote":"happy","isAllowed":true}]"#;
    assert_eq!(put(address, "/settings/allowed-emotes", &token, body).0, 200);
    assert_eq!(allowed(), sorted(&["👏", "😀"]));
}

#[test]
fn a_changes_at_the_same_time_lose_nothing_of_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let server = start_with_dotenv(dir.path(), &[]);
    let address = server.address;
    let token = login(address);
    let emotes = ["💻", "💾", "🦀", "🥒", "🥕", "🌽"];
    std::thread::scope(|scope| {
        for emote in emotes {
            let token = &token;
            scope.spawn(move || {
                let body = json!([{"emote": emote, "isAllowed": true}]).to_string();
                assert_eq!(put(address, "/settings/allowed-emotes", token, &body).0, 200);
            });
        }
        scope
            .spawn(|| assert_eq!(put(address, "/settings/threshold", &token, r#"{"threshold":0.9}"#).0, 200));
        scope.spawn(|| assert_eq!(put(address, "/settings/interval", &token, r#"{"interval":33}"#).0, 200));
    });
    let get = |path: &str| curl(address, path, &["-H", &token]).1;
    assert_eq!(
        (get("/settings/threshold"), get("/settings/interval")),
        (json!({"threshold": 0.9}), json!({"interval": 33}))
    );
    let allowed = get("/settings/allowed-emotes");
    for emote in emotes {
        assert!(allowed.as_array().unwrap().contains(&json!({"emote": emote})), "{emote}: {allowed}");
    }
}
