//! HTTP requests that no client should send.

use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};
use tokio::task::JoinSet;

use super::{raw::Raw, seeds, start, still_serves};

/// A request with reactions and these headers, each with its line break.
fn post(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let head = format!("POST /v1/channels/main/reactions HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    [head.as_bytes(), body.as_ref()].concat()
}

/// A request whose length is right.
fn sized(body: impl AsRef<[u8]>) -> Vec<u8> {
    post(&format!("content-length: {}\r\n", body.as_ref().len()), body)
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes()
}

/// Name of the case, bytes, status, problem (empty: the head itself is refused, with a status only), field.
type Case<'a> = (&'a str, Vec<u8>, u16, &'a str, &'a str);

async fn check(set: &[&str], cases: Vec<Case<'_>>) {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), set);
    for (name, bytes, status, problem, field) in cases {
        let said = Raw::ask(server.address, &bytes).await;
        let said = said.unwrap_or_else(|| panic!("{name}: the connection ended without an answer"));
        let found = (said.status, said.problem());
        assert_eq!(found, (status, (problem.to_owned(), field.to_owned())), "{name}: {said:?}");
    }
    still_serves(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_not_what_they_seem() {
    const BAD: &str = "body-invalid";
    const LARGE: &str = "body-too-large";
    let fire = "{\"emote\":\"🔥\"}";
    let large = vec![b' '; 300 * 1024];
    let chunk = [b"49152\r\n".as_slice(), &vec![b' '; 0x49152], b"\r\n0\r\n\r\n"].concat();
    let deep_value = format!("{{\"emote\":\"🔥\",\"x\":{}1{}}}", "[".repeat(60_000), "]".repeat(60_000));
    let deep_array = "[".repeat(200_000);
    let chunked = "transfer-encoding: chunked\r\n";
    check(
        &["http.body_timeout_ms=500", "http.header_timeout_ms=1000"],
        vec![
            ("empty", sized(""), 400, BAD, ""),
            ("no length", post("", ""), 400, BAD, ""),
            ("a number", sized("7"), 400, BAD, ""),
            ("a string", sized("\"🔥\""), 400, BAD, ""),
            ("a form", sized("emote=%F0%9F%94%A5"), 400, BAD, ""),
            ("half an object", sized("{\"emote\":"), 400, BAD, ""),
            ("two objects", sized(format!("{fire}{fire}")), 400, BAD, ""),
            ("half an array", sized(format!("[{fire},")), 400, BAD, ""),
            ("bad UTF-8", sized(b"{\"emote\":\"\xf0\x9f\"}"), 400, BAD, ""),
            ("lone surrogate", sized("{\"emote\":\"\\ud800\"}"), 400, BAD, ""),
            ("zeros", sized([0; 100]), 400, BAD, ""),
            ("deep array", sized(&deep_array), 400, BAD, ""),
            ("deep object", sized("{\"a\":".repeat(50_000)), 400, BAD, ""),
            ("shorter than announced", post("content-length: 100\r\n", fire), 408, "body-timeout", ""),
            ("chunk without end", post(chunked, "5\r\n{\"emo"), 408, "body-timeout", ""),
            ("too large", sized(&large), 413, LARGE, ""),
            ("far too large", sized(vec![b'['; 8 << 20]), 413, LARGE, ""),
            ("announced too large", post("content-length: 262145\r\n", ""), 413, LARGE, ""),
            ("announced absurdly", post("content-length: 9223372036854775807\r\n", ""), 413, LARGE, ""),
            (
                "announced, expecting",
                post("content-length: 262145\r\nexpect: 100-continue\r\n", ""),
                413,
                LARGE,
                "",
            ),
            ("chunks too large", post(chunked, chunk), 413, LARGE, ""),
            ("chunk of words", post(chunked, "zz\r\n{}\r\n"), 400, BAD, ""),
            ("chunk of absurd size", post(chunked, "fffffffffffffffff\r\n{}\r\n"), 400, BAD, ""),
            ("length of words", post("content-length: many\r\n", fire), 400, "", ""),
            ("negative length", post("content-length: -1\r\n", fire), 400, "", ""),
            ("two lengths", post("content-length: 1\r\ncontent-length: 15\r\n", fire), 400, "", ""),
            ("unknown transfer coding", post("transfer-encoding: zip\r\n", fire), 400, "", ""),
            ("deep value that nobody reads", sized(&deep_value), 200, "", ""),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_that_are_none() {
    let with = |field: &str, value: &str| sized(format!("{{\"emote\":\"🔥\",\"{field}\":{value}}}"));
    let emote = |value: &str| sized(format!("{{\"emote\":{value}}}"));
    let many = |item: &str, number: usize| format!("[{}]", vec![item; number].join(","));
    let long = format!("\"{}\"", "x".repeat(65));
    let lines = "{\"emote\":\"🔥\"}\n".repeat(1_001);
    let line_head = format!("content-type: application/x-ndjson\r\ncontent-length: {}\r\n", lines.len());
    const WRONG: &str = "field-invalid";
    const MANY: &str = "too-many-reactions";
    check(
        &[],
        vec![
            ("nothing in it", sized("{}"), 400, "field-missing", "emote"),
            ("emote null", emote("null"), 400, WRONG, "emote"),
            ("emote a number", emote("7"), 400, WRONG, "emote"),
            ("emote an object", emote("{}"), 400, WRONG, "emote"),
            ("emote too long", emote(&long), 400, WRONG, "emote"),
            ("emote empty", emote("\"\""), 400, "emote-unknown", "emote"),
            ("emote unknown", emote("\"fire!\""), 400, "emote-unknown", "emote"),
            ("two emoji", emote("\"🔥🔥\""), 400, "emote-unknown", "emote"),
            ("control characters", emote("\"\\u0000\""), 400, "emote-unknown", "emote"),
            ("emote twice", sized("{\"emote\":\"🔥\",\"emote\":\"🔥\"}"), 400, WRONG, ""),
            ("id a number", with("id", "1"), 400, WRONG, "id"),
            ("id no UUID", with("id", "\"1\""), 400, WRONG, "id"),
            ("id of version 4", with("id", "\"9f1b1c2e-0000-4000-8000-000000000000\""), 400, WRONG, "id"),
            (
                "id of 2023",
                with("id", "\"01890a5d-ac96-774b-bcce-b302099a8057\""),
                400,
                "id-out-of-range",
                "id",
            ),
            (
                "id of far ahead",
                with("id", "\"ffffffff-ffff-7fff-bfff-ffffffffffff\""),
                400,
                "id-out-of-range",
                "id",
            ),
            ("user a list", with("user_id", "[]"), 400, WRONG, "user_id"),
            ("user empty", with("user_id", "\"\""), 400, WRONG, "user_id"),
            ("user too long", with("user_id", &long), 400, WRONG, "user_id"),
            ("user with a line break", with("user_id", "\"a\\nb\""), 400, WRONG, "user_id"),
            ("user a guest", with("user_id", "\"guest:00\""), 400, WRONG, "user_id"),
            ("time a number", with("tapped_at", "0"), 400, WRONG, "tapped_at"),
            ("time of words", with("tapped_at", "\"now\""), 400, WRONG, "tapped_at"),
            ("time beyond", with("tapped_at", "\"99999-01-01T00:00:00Z\""), 400, WRONG, "tapped_at"),
            ("media negative", with("media_time_ms", "-1"), 400, WRONG, "media_time_ms"),
            ("media a fraction", with("media_time_ms", "0.5"), 400, WRONG, "media_time_ms"),
            ("media absurd", with("media_time_ms", "18446744073709551615"), 400, WRONG, "media_time_ms"),
            ("media beyond 64 bits", with("media_time_ms", "1e300"), 400, WRONG, "media_time_ms"),
            ("1001 reactions", sized(many("{\"emote\":\"🔥\"}", 1_001)), 400, MANY, ""),
            ("1001 lines", post(&line_head, &lines), 400, MANY, ""),
            ("100000 numbers", sized(many("1", 100_000)), 400, MANY, ""),
            ("80000 arrays", sized(many("[]", 80_000)), 400, MANY, ""),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_methods_and_paths() {
    let long = "x".repeat(20_000);
    let with = |header: &str| format!("GET /livez HTTP/1.1\r\nhost: x\r\n{header}\r\n\r\n").into_bytes();
    let method =
        |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes();
    let headers = "x: y\r\n".repeat(200);
    check(
        &["http.header_timeout_ms=1000"],
        vec![
            ("head too large", with(&format!("x: {}", "y".repeat(150_000))), 431, "", ""),
            ("head far too large", with(&format!("x: {}", "y".repeat(4 << 20))), 431, "", ""),
            ("too many headers", with(headers.trim_end()), 431, "", ""),
            ("header without colon", with("nonsense"), 400, "", ""),
            ("header with a null", with("x: \0"), 400, "", ""),
            ("no HTTP", b"hello there\r\n\r\n".to_vec(), 400, "", ""),
            ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), 400, "", ""),
            ("method of symbols", method("G{T", "/livez"), 400, "", ""),
            ("version 9", b"GET / HTTP/9.9\r\n\r\n".to_vec(), 400, "", ""),
            ("path too long", get(&format!("/{}", "x".repeat(66_000))), 414, "", ""),
            ("path long", get(&format!("/{long}")), 404, "", ""),
            ("channel long", get(&format!("/v1/channels/{long}/windows")), 404, "channel-not-found", ""),
            (
                "query long",
                get(&format!("/v1/channels/main/windows?from={long}")),
                400,
                "parameter-invalid",
                "from",
            ),
            ("unknown channel", get("/v1/channels/none/windows"), 404, "channel-not-found", ""),
            ("dots", get("/v1/channels/%2e%2e/windows"), 404, "channel-not-found", ""),
            ("dots and slash", get("/v1/channels/..%2f..%2fetc/windows"), 404, "channel-not-found", ""),
            ("bad UTF-8", get("/v1/channels/%ff/windows"), 400, "parameter-invalid", ""),
            ("up", get("/../../etc/passwd"), 404, "", ""),
            ("up from assets", get("/assets/../../Cargo.toml"), 404, "", ""),
            ("up, encoded", get("/assets/%2e%2e/index.html"), 404, "", ""),
            ("slashes", get("//"), 404, "", ""),
            ("slashes within", get("/v1//channels/main/windows"), 404, "not-found", ""),
            ("slash behind", get("/v1/channels/main/windows/"), 404, "not-found", ""),
            ("no upgrade", get("/v1/channels/main/stream"), 400, "parameter-invalid", ""),
            ("unknown method", method("BREW", "/livez"), 405, "", ""),
            (
                "unknown native method",
                method("BREW", "/v1/channels/main/windows"),
                405,
                "method-not-allowed",
                "",
            ),
            ("reading reactions", get("/v1/channels/main/reactions"), 405, "method-not-allowed", ""),
            ("HTTP/1.0", b"GET /livez HTTP/1.0\r\n\r\n".to_vec(), 200, "", ""),
            ("absolute form", get("http://elsewhere.example/livez"), 200, "", ""),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_request_on_its_connection() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let good = sized("{\"emote\":\"🔥\"}");
    // A hundred requests at once are answered in order.
    let mut raw = Raw::connect(server.address).await;
    raw.send(&good.repeat(100)).await;
    for _ in 0..100 {
        assert_eq!(raw.answer().await.unwrap().status, 200);
    }
    // What is longer than announced is the next request, and none.
    let longer = post("content-length: 3\r\n", "{} {\"emote\":\"🔥\"}\r\n\r\n");
    for (behind, first) in
        [(longer, 400), ([good.clone(), b"\x00\x01garbage\r\n\r\n".to_vec()].concat(), 200)]
    {
        let mut raw = Raw::connect(server.address).await;
        raw.send(&behind).await;
        assert_eq!(raw.answer().await.unwrap().status, first);
        assert_eq!(raw.answer().await.map(|said| said.status), Some(400));
        assert!(raw.answer().await.is_none());
    }
    // A body that breaks off is not a reaction, however the connection ends.
    let mut raw = Raw::connect(server.address).await;
    raw.send(&post("content-length: 100\r\n", "{\"emote\":\"🔥\"}")).await;
    raw.end().await;
    assert!(raw.answer().await.is_none_or(|said| said.status == 400));
    still_serves(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_bytes_harm_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &["http.header_timeout_ms=1000", "http.body_timeout_ms=1000"]);
    let seeds = seeds(150);
    println!("soak: random bytes as requests: seeds {seeds:?}");
    let mut hostile = JoinSet::new();
    for seed in seeds {
        let address = server.address;
        hostile.spawn(async move {
            let mut raw = Raw::connect(address).await;
            raw.send(&random_request(seed)).await;
            raw.end().await;
            while let Some(said) = raw.answer().await {
                assert!((200..500).contains(&said.status), "seed {seed}: {said:?}");
            }
        });
        while hostile.len() >= 32 {
            hostile.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(ended) = hostile.join_next().await {
        ended.unwrap();
    }
    still_serves(&server).await;
}

/// Random bytes, or good requests with a few bytes changed, doubled or left out.
fn random_request(seed: u64) -> Vec<u8> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut bytes = match random.random_range(0..6) {
        0 => {
            let mut bytes = vec![0; random.random_range(0..5_000)];
            random.fill(&mut bytes[..]);
            return bytes;
        }
        1 => get("/v1/channels/main/windows?limit=10&from=2026-01-01T00:00:00Z"),
        2 => post("transfer-encoding: chunked\r\n", "f\r\n{\"emote\":\"🔥\"}\r\n0\r\n\r\n"),
        3 => sized("[{\"emote\":\"🔥\"},{\"emote\":7},{\"emote\":\"👏\",\"user_id\":\"u\"}]"),
        _ => sized("{\"emote\":\"🔥\",\"tapped_at\":\"2026-01-01T00:00:00Z\"}"),
    };
    for _ in 0..random.random_range(1..8) {
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..3) {
            0 => bytes[at] = random.random(),
            1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, bytes[at]),
        }
    }
    bytes
}
