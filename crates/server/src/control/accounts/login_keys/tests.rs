//! Tokens: own ones are read, forged, foreign and expired ones are not.

use std::os::unix::fs::PermissionsExt as _;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use super::{Key, LEEWAY_S, LoginKeys, TOKEN_LIFE_S, TokenError};

const NOW_MS: i64 = 1_750_000_000_500;
const NOW_S: i64 = 1_750_000_000;

fn signed(algorithm: Algorithm, secret: &str, claims: &serde_json::Value) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

#[test]
fn a_token_says_what_was_signed_for_an_hour_and_the_leeway() {
    let keys = LoginKeys::random();
    let (token, claims) = keys.issue("ada", "broadcaster", 17, NOW_MS).unwrap();
    assert_eq!((claims.iat, claims.exp), (NOW_S, NOW_S + 3_600));
    assert_eq!(keys.read(&token, NOW_MS), Ok(claims.clone()));
    let last_ms = (NOW_S + TOKEN_LIFE_S + LEEWAY_S) * 1_000 - 1;
    assert_eq!(keys.read(&token, last_ms), Ok(claims));
    assert_eq!(keys.read(&token, last_ms + 1), Err(TokenError::Expired));
}

#[test]
fn every_changed_byte_and_every_other_key_is_refused() {
    let keys = LoginKeys::random();
    let (token, claims) = keys.issue("ada", "admin", 17, NOW_MS).unwrap();
    assert_eq!(LoginKeys::random().read(&token, NOW_MS), Err(TokenError::Invalid));
    for at in 0..token.len() {
        let mut forged = token.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        // The last character of a base64 text may carry bits that mean nothing; what is signed stays the same.
        let read = keys.read(&forged, NOW_MS);
        assert!(read == Err(TokenError::Invalid) || read == Ok(claims.clone()), "{at}: {forged}");
    }
    for bad in ["", ".", "..", "a.b.c", "a.b", &"x.".repeat(10_000), "🔥.🔥.🔥"] {
        assert_eq!(keys.read(bad, NOW_MS), Err(TokenError::Invalid), "{bad}");
    }
}

#[test]
fn only_hs256_is_taken() {
    let keys = LoginKeys::from_secret("a secret that both sides know").unwrap();
    let claims = json!({"username": "ada", "iat": NOW_S, "exp": NOW_S + 60});
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let token = signed(algorithm, "a secret that both sides know", &claims);
        assert_eq!(keys.read(&token, NOW_MS), Err(TokenError::Invalid), "{algorithm:?}");
    }
    // {"alg":"none","typ":"JWT"} and {"username":"ada","iat":1,"exp":99999999999}
    for signature in ["", "x"] {
        let none = format!(
            "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJ1c2VybmFtZSI6ImFkYSIsImlhdCI6MSwiZXhwIjo5OTk5OTk5OTk5OX0.{signature}"
        );
        assert_eq!(keys.read(&none, NOW_MS), Err(TokenError::Invalid));
    }
}

#[test]
fn a_token_of_who_shares_the_secret_needs_no_more_than_system_a_writes() {
    let keys = LoginKeys::from_secret("short").unwrap();
    let token = signed(
        Algorithm::HS256,
        "short",
        &json!({"username": "ada", "iat": NOW_S, "exp": NOW_S + 60, "more": 1}),
    );
    let claims = keys.read(&token, NOW_MS).unwrap();
    assert_eq!((claims.username.as_str(), claims.role, claims.credentials), ("ada", None, None));
    for missing in ["username", "iat", "exp"] {
        let mut claims = json!({"username": "ada", "iat": NOW_S, "exp": NOW_S + 60});
        claims.as_object_mut().unwrap().remove(missing);
        let token = signed(Algorithm::HS256, "short", &claims);
        assert_eq!(keys.read(&token, NOW_MS), Err(TokenError::Invalid), "without {missing}");
    }
    assert!(LoginKeys::from_secret("").is_none());
}

#[test]
fn the_previous_key_still_verifies_and_a_third_does_not() {
    let old = LoginKeys::random();
    let (token, claims) = old.issue("ada", "admin", 17, NOW_MS).unwrap();
    let rotated = LoginKeys { current: LoginKeys::random().current, previous: Some(old.current) };
    assert_eq!(rotated.read(&token, NOW_MS), Ok(claims));
    let (fresh, _) = rotated.issue("ada", "admin", 17, NOW_MS).unwrap();
    assert_eq!(jsonwebtoken::decode_header(&fresh).unwrap().kid.unwrap(), rotated.current.kid);
    let twice = LoginKeys { current: LoginKeys::random().current, previous: Some(rotated.current) };
    assert_eq!(twice.read(&token, NOW_MS), Err(TokenError::Invalid));
}

#[test]
fn keys_stay_in_a_file_that_only_the_owner_reads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("login.json");
    let keys = LoginKeys::load_or_create(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let (token, claims) = keys.issue("ada", "viewer", 17, NOW_MS).unwrap();
    assert_eq!(LoginKeys::load_or_create(&path).unwrap().read(&token, NOW_MS), Ok(claims));
    std::fs::write(&path, r#"{"current":{"kid":"1","secret":""},"previous":null}"#).unwrap();
    assert!(LoginKeys::load_or_create(&path).is_err());
}

#[test]
fn nothing_prints_a_secret() {
    let keys = LoginKeys::from_secret("hunter2hunter2").unwrap();
    assert!(!format!("{keys:?}").contains("hunter2"));
    assert_eq!(Key::of("a".into()).kid, Key::of("a".into()).kid);
    assert_ne!(Key::of("a".into()).kid, Key::of("b".into()).kid);
}
