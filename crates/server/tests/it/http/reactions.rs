//! Sending reactions over HTTP.

use serde_json::{Value, json};

use super::start;
use crate::harness::{
    client::{Answer, Client, reactions_path},
    id_of, new_id, now_ms,
    windows::closed_windows_total,
};

const NDJSON: &str = "application/x-ndjson";

fn numbers(answer: &Answer) -> (u16, u64, u64, usize) {
    let json = answer.json();
    let number = |name: &str| json[name].as_u64().unwrap();
    (answer.status, number("accepted"), number("duplicates"), json["rejected"].as_array().unwrap().len())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_many_and_lines_are_taken_and_each_wrong_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut client = Client::connect(server.address).await.unwrap();
    let fire = json!({"emote": "🔥"});
    assert_eq!(numbers(&client.react("main", &fire).await.unwrap()), (200, 1, 0, 0));
    assert_eq!(numbers(&client.react("main", &json!([])).await.unwrap()), (200, 0, 0, 0));

    let old = "01890a5d-ac96-774b-bcce-b302099a8057";
    let mixed = json!([
        {"emote": "🔥", "user_id": "u", "tapped_at": "2026-01-01T00:00:00Z", "media_time_ms": 81_000},
        {"emote": "nope"}, 7, {"emote": "👏"}, {}, {"emote": "🔥", "id": old}, {"emote": ":goal:"},
        {"emote": "🔥", "media_time_ms": "x"}, {"emote": "happy"},
    ]);
    let answer = client.react("main", &mixed).await.unwrap();
    assert_eq!(numbers(&answer), (200, 3, 0, 6));
    let rejected = answer.json()["rejected"].take();
    let named: Vec<_> = rejected
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            assert!(one["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{one}");
            assert_eq!(one["server_time"].is_string(), one["type"] == "/errors/id-out-of-range", "{one}");
            (
                one["index"].as_u64().unwrap(),
                one["type"].as_str().unwrap(),
                one["field"].as_str().unwrap_or(""),
            )
        })
        .collect();
    let expected = [
        (1, "/errors/emote-unknown", "emote"),
        (2, "/errors/field-invalid", ""),
        (4, "/errors/field-missing", "emote"),
        (5, "/errors/id-out-of-range", "id"),
        (6, "/errors/emote-not-allowed", "emote"),
        (7, "/errors/field-invalid", "media_time_ms"),
    ];
    assert_eq!(named, expected);

    let lines = "{\"emote\":\"🔥\"}\r\n\n{broken\n{\"emote\":\"👏\"}";
    let answer = client.post(&reactions_path("main"), NDJSON, lines).await.unwrap();
    assert_eq!(numbers(&answer), (200, 2, 0, 1));
    assert_eq!(answer.json()["rejected"][0]["index"], 1);
    assert_eq!(answer.json()["rejected"][0]["type"], "/errors/body-invalid");

    let totals = closed_windows_total(server.address, "main", 6).await;
    assert_eq!(json!(totals), json!({"🔥": 3, "👏": 2, "😀": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_are_known_and_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut client = Client::connect(server.address).await.unwrap();
    let (one, two) = (json!({"emote": "🔥", "id": new_id()}), json!({"emote": "👏", "id": new_id()}));
    assert_eq!(numbers(&client.react("main", &one).await.unwrap()), (200, 1, 0, 0));
    assert_eq!(numbers(&client.react("main", &one).await.unwrap()), (200, 0, 1, 0));
    assert_eq!(numbers(&client.react("main", &json!([one, two, two])).await.unwrap()), (200, 1, 2, 0));
    // An id belongs to its channel.
    let elsewhere = json!({"emote": "👏", "id": two["id"]});
    assert_eq!(numbers(&client.react("goals", &elsewhere).await.unwrap()), (200, 1, 0, 0));
    assert_eq!(json!(closed_windows_total(server.address, "main", 2).await), json!({"🔥": 1, "👏": 1}));
    assert_eq!(json!(closed_windows_total(server.address, "goals", 1).await), json!({"👏": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_from_another_time_is_refused_with_the_servers_time() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut client = Client::connect(server.address).await.unwrap();
    let at = |ms: u64| uuid::Builder::from_unix_timestamp_millis(ms, &rand::random()).into_uuid().to_string();
    let now = now_ms();
    for (ms, good) in [(now, true), (now - 110_000, true), (now - 125_000, false), (now + 60_000, false)] {
        let answer = client.react("main", &json!({"emote": "🔥", "id": at(ms)})).await.unwrap();
        if good {
            assert_eq!(numbers(&answer), (200, 1, 0, 0));
            continue;
        }
        let problem = answer.json();
        assert_eq!((answer.status, &problem["field"]), (400, &json!("id")), "{problem}");
        assert_eq!(answer.problem().as_deref(), Some("id-out-of-range"));
        // With that time the client makes an id that is taken.
        let told = emostream_protocol::time::parse_ms(problem["server_time"].as_str().unwrap()).unwrap();
        let again = json!({"emote": "🔥", "id": at(u64::try_from(told).unwrap())});
        assert_eq!(numbers(&client.react("main", &again).await.unwrap()), (200, 1, 0, 0));
    }
}

/// The cookie that an answer sets, as a client sends it back.
fn cookie(answer: &Answer) -> Option<String> {
    let set = answer.header("set-cookie")?;
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="] {
        assert!(set.contains(attribute), "{set}");
    }
    Some(set.split(';').next().unwrap().to_owned())
}

async fn react_as(client: &mut Client, cookie: &str, body: &Value) -> Answer {
    let request = client.request("POST", &reactions_path("main")).header("cookie", cookie);
    client.send(request.body(body.to_string().into()).unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_signed_in_once_and_nobody_else_can_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["windows.window_ms=60000", "windows.allowed_lateness_ms=0"]);
    let mut client = Client::connect(server.address).await.unwrap();
    let fire = json!({"emote": "🔥"});
    let first = cookie(&client.react("main", &fire).await.unwrap()).unwrap();
    let known = react_as(&mut client, &format!("theme=dark; {first}; x=y"), &fire).await;
    assert_eq!((known.status, cookie(&known)), (200, None));
    let forged = format!("{}0", &first[..first.len() - 1]);
    let forged = if forged == first { format!("{}1", &first[..first.len() - 1]) } else { forged };
    for wrong in [forged.as_str(), "emostream_guest=", "emostream_guest=g1.a.b.c", "emostream_guest=\u{7f}"] {
        let request =
            client.request("POST", &reactions_path("main")).header("cookie", wrong.replace('\u{7f}', "%"));
        let answer = client.send(request.body(fire.to_string().into()).unwrap()).await.unwrap();
        let renewed = cookie(&answer).unwrap();
        assert!(answer.status == 200 && renewed != first, "{wrong}: {answer:?}");
    }
    // Who names a user needs no guest; nobody may name a guest.
    let named = client.react("main", &json!({"emote": "🔥", "user_id": "u"})).await.unwrap();
    assert_eq!((named.status, cookie(&named)), (200, None));
    let guest = json!({"emote": "🔥", "user_id": "guest:0123"});
    let answer = client.react("main", &guest).await.unwrap();
    assert_eq!((answer.status, answer.json()["field"].as_str()), (400, Some("user_id")));
    let answer = client.react("main", &json!([guest, fire])).await.unwrap();
    assert_eq!(numbers(&answer), (200, 1, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn skin_tones_aliases_and_variants_are_one_emote() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut client = Client::connect(server.address).await.unwrap();
    let same = ["👏", "👏🏽", "👏🏿", ":clap:", "❤", "❤️", ":heart:"];
    let body: Vec<_> = same.iter().map(|emote| json!({"emote": emote})).collect();
    assert_eq!(numbers(&client.react("main", &json!(body)).await.unwrap()), (200, 7, 0, 0));
    assert_eq!(json!(closed_windows_total(server.address, "main", 7).await), json!({"👏": 4, "❤️": 3}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_takes_its_own_emotes_and_others_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut client = Client::connect(server.address).await.unwrap();
    for (channel, emote, problem) in [
        ("goals", ":goal:", None),
        ("goals", "👏", None),
        ("goals", "🔥", Some("emote-not-allowed")),
        ("goals", ":other:", Some("emote-unknown")),
        ("main", "🔥", None),
        ("main", ":goal:", Some("emote-not-allowed")),
        ("none", "🔥", Some("channel-not-found")),
    ] {
        let answer = client.react(channel, &json!({"emote": emote})).await.unwrap();
        assert_eq!(answer.problem().as_deref(), problem, "{channel} {emote}: {answer:?}");
        assert_eq!(
            answer.status,
            if problem == Some("channel-not-found") { 404 } else { 200 + 200 * u16::from(problem.is_some()) }
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_sends_what_it_may() {
    let dir = tempfile::tempdir().unwrap();
    let set = ["ingest.address_reactions_per_s=1", "ingest.address_burst=1000"];
    let server = start(dir.path(), &set);
    let mut client = Client::connect(server.address).await.unwrap();
    let full = json!(vec![json!({"emote": "🔥"}); 1_000]);
    assert_eq!(numbers(&client.react("main", &full).await.unwrap()), (200, 1_000, 0, 0));
    let refused = client.react("main", &full).await.unwrap();
    assert_eq!((refused.status, refused.problem().as_deref()), (429, Some("rate-limited")));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((900..=1_001).contains(&wait), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_beyond_what_may_be_remembered_are_refused_and_others_taken() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["ingest.remembered_ids_max=1000"]);
    let mut client = Client::connect(server.address).await.unwrap();
    let with_ids = |from: u64| {
        let id = |n: u64| id_of([&[7, 7][..], &n.to_be_bytes()].concat().try_into().unwrap());
        json!((from..from + 1_000).map(|n| json!({"emote": "🔥", "id": id(n)})).collect::<Vec<_>>())
    };
    let mut from = 0;
    let refused = crate::harness::wait_for("memory for ids to be full", async || {
        from += 1_000;
        let answer =
            Client::connect(server.address).await.unwrap().react("main", &with_ids(from)).await.unwrap();
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!((refused.status, refused.problem().as_deref()), (503, Some("too-many-ids")));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(numbers(&client.react("main", &json!({"emote": "🔥"})).await.unwrap()), (200, 1, 0, 0));
}
