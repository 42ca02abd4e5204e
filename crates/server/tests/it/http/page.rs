//! The page for browsers, service information for programs, health and metrics.

use std::collections::BTreeSet;

use serde_json::json;

use super::start;
use crate::harness::client::{Answer, Client, get};

async fn ask(client: &mut Client, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = headers
        .iter()
        .fold(client.request(method, path), |request, (name, value)| request.header(*name, *value));
    client.send(request.body(bytes::Bytes::new().into()).unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_is_a_page_for_browsers_and_information_for_programs() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut client = Client::connect(server.address).await.unwrap();
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let page = ask(&mut client, "GET", "/", &[("accept", browser)]).await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(
        page.header("vary").unwrap().contains("accept") && page.header("content-security-policy").is_some()
    );
    assert!(String::from_utf8_lossy(&page.body).contains("<html"));
    for accept in ["*/*", "application/json", "text/plain"] {
        let answer = ask(&mut client, "GET", "/", &[("accept", accept)]).await;
        let information = answer.json();
        assert_eq!(
            (&information["service"], &information["channels"]),
            (&json!("emostream"), &json!(["main", "goals"]))
        );
        assert_eq!(information["roles"], json!(["ingest", "aggregate", "edge", "control"]));
        assert_eq!(answer.header("vary"), Some("accept"));
    }
    let head = ask(&mut client, "HEAD", "/", &[("accept", browser)]).await;
    assert_eq!((head.status, head.body.len(), head.header("etag")), (200, 0, page.header("etag")));
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_come_compressed_and_only_when_they_changed() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut client = Client::connect(server.address).await.unwrap();
    let page = ask(&mut client, "GET", "/", &[("accept", "text/html")]).await;
    let page = String::from_utf8_lossy(&page.body).into_owned();
    let paths: BTreeSet<_> = page.split('"').filter(|text| text.contains("assets/")).collect();
    assert!(paths.len() >= 2, "{page}");
    for path in paths {
        let path = format!("/{}", path.trim_start_matches("./").trim_start_matches('/'));
        let plain = ask(&mut client, "GET", &path, &[]).await;
        assert_eq!((plain.status, plain.header("content-encoding")), (200, None), "{path}");
        assert!(plain.header("cache-control").unwrap().contains("immutable"), "{path}");
        assert_eq!(plain.header("x-content-type-options"), Some("nosniff"));
        for (accepted, coding) in [
            ("gzip, deflate, br", Some("br")),
            ("gzip", Some("gzip")),
            ("br;q=0, gzip", Some("gzip")),
            ("br;q=1.0", Some("br")),
            ("br;q=0.5", Some("br")),
            ("identity", None),
        ] {
            let answer = ask(&mut client, "GET", &path, &[("accept-encoding", accepted)]).await;
            assert_eq!(answer.header("content-encoding"), coding, "{path} {accepted}");
            assert!(coding.is_none() == (answer.body.len() == plain.body.len()), "{path} {accepted}");
            assert!(answer.header("vary").unwrap().contains("accept-encoding"));
        }
        let etag = plain.header("etag").unwrap();
        for known in [etag.to_owned(), format!("\"other\", {etag}"), format!("W/{etag}"), "*".to_owned()] {
            let same = ask(&mut client, "GET", &path, &[("if-none-match", &known)]).await;
            assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, Some(etag)), "{known}");
        }
        let changed = ask(&mut client, "GET", &path, &[("if-none-match", "\"other\"")]).await;
        assert_eq!(changed.status, 200);
    }
    for hidden in ["/index.html.br", "/assets/", "/assets", "/Cargo.toml"] {
        assert_eq!(client.get(hidden).await.unwrap().status, 404, "{hidden}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_problems_under_v1_and_short_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut client = Client::connect(server.address).await.unwrap();
    for (method, path, status) in [
        ("GET", "/v1/nothing", 404),
        ("DELETE", "/v1/channels/main/windows", 405),
        ("PUT", "/v1/channels/main/reactions", 405),
        ("POST", "/v1/channels/main/stream", 405),
        ("GET", "/nothing", 404),
        ("GET", "/errors/nothing", 404),
        ("POST", "/livez", 405),
        ("DELETE", "/", 405),
    ] {
        let answer = ask(&mut client, method, path, &[]).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{method} {path}: {answer:?}");
        let json = answer.json();
        if path.starts_with("/v1") {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            assert_eq!(json["status"], status, "{method} {path}: {json}");
        } else {
            assert!(json["error"].is_string(), "{method} {path}: {json}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_and_metrics_are_open_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut client = Client::connect(server.address).await.unwrap();
    assert_eq!(client.get("/livez").await.unwrap().body, "ok\n");
    let ready = crate::harness::wait_for("readiness", async || {
        let answer = get(server.address, "/readyz").await.unwrap();
        (answer.status == 200).then(|| answer.json())
    })
    .await;
    assert_eq!(ready, json!({"ready": true, "waiting_for": [], "store": "ok", "control": "places"}));
    let health = client.get("/health").await.unwrap().json();
    assert_eq!(
        (&health["status"], &health["buffer_size"], &health["kafka_connected"]),
        (&json!("ok"), &json!(0), &json!(null))
    );
    client.react("main", &json!([{"emote": "🔥"}, {"emote": 7}])).await.unwrap();
    let metrics = client.get("/metrics").await.unwrap();
    assert!(
        metrics.header("content-type").unwrap().starts_with("application/openmetrics-text; version=1.0.0")
    );
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(text.ends_with("# EOF\n"));
    assert!(text.contains("emostream_reactions_accepted_total 1\n"), "{text}");
    assert!(text.contains("emostream_reactions_rejected_total{kind=\"field-invalid\"} 1\n"), "{text}");
    check_open_metrics(&text);
}

/// Every sample belongs to the family before it, every family has a type and a help text and occurs once.
fn check_open_metrics(text: &str) {
    let (mut families, mut family, mut kind) = (BTreeSet::new(), "", "");
    for line in text.lines().take_while(|line| *line != "# EOF") {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, help] => {
                assert!(
                    families.insert(name) && name.starts_with("emostream_") && help.ends_with('.'),
                    "{line}"
                );
                family = name;
            }
            ["#", "TYPE", name, found] => {
                assert!(name == family && ["counter", "gauge", "histogram"].contains(&found), "{line}");
                kind = found;
            }
            _ => {
                let name = line.split(['{', ' ']).next().unwrap();
                let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} in {family}"));
                let expected: &[&str] = match kind {
                    "counter" => &["_total"],
                    "gauge" => &[""],
                    _ => &["_sum", "_count", "_bucket"],
                };
                let value = line.rsplit(' ').next().unwrap();
                assert!(expected.contains(&suffix) && value.parse::<f64>().is_ok(), "{line}");
            }
        }
    }
    assert!(families.len() >= 12, "{families:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_the_app_are_for_browsers_alone() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let mut client = Client::connect(server.address).await.unwrap();
    let html = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let root = ask(&mut client, "GET", "/", &html).await;
    for path in ["/login", "/account", "/settings", "/moments", "/about", "/settings?channel=main"] {
        let page = ask(&mut client, "GET", path, &html).await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (200, Some("text/html; charset=utf-8")),
            "{path}"
        );
        assert!(page.header("content-security-policy").is_some(), "{path}");
        assert_ne!(page.header("etag"), root.header("etag"), "{path}: not the live page");
        let etag = page.header("etag").unwrap();
        let known = ask(&mut client, "GET", path, &[html[0], ("if-none-match", etag)]).await;
        assert_eq!(known.status, 304, "{path}");
        let program = ask(&mut client, "GET", path, &[("accept", "application/json")]).await;
        assert_eq!((program.status, program.json()["error"].is_string()), (404, true), "{path}");
        let known = ask(&mut client, "GET", path, &[("if-none-match", etag)]).await;
        assert_eq!(known.status, 404, "{path}");
        assert_eq!(program.header("vary"), Some("accept"), "{path}");
    }
    for path in ["/nowhere", "/settings/unknown", "/moments/1"] {
        let page = ask(&mut client, "GET", path, &html).await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (404, Some("text/html; charset=utf-8")),
            "{path}"
        );
        let again = ask(&mut client, "GET", path, &[html[0], ("if-none-match", "*")]).await;
        assert_eq!(again.status, 404, "{path}: a page that is not there has no known form");
        let wrong = ask(&mut client, "POST", path, &html).await;
        assert_eq!((wrong.status, wrong.json()["error"].is_string()), (404, true), "{path}");
    }
    for path in ["/v1/nothing", "/assets/nothing.js"] {
        let answer = ask(&mut client, "GET", path, &html).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_ne!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_site_is_what_was_configured() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let site = get(server.address, "/v1/site").await.unwrap().json();
    let tiers = json!([{"tier": 1, "devices": 5}, {"tier": 2, "devices": 2}, {"tier": 3, "devices": 1}]);
    let registration = json!({"open": true, "choose_tier": false, "default_tier": 3, "tiers": tiers});
    let expected = json!({"name": "Emostream", "about": "", "contact": {}, "registration": registration});
    assert_eq!(site, expected);
    drop(server);
    let dir = tempfile::tempdir().unwrap();
    let set = [
        "site.name=Cup Night",
        "site.about=We stream the cup.",
        "site.contact.email=team@example.org",
        "accounts.registration=false",
        "accounts.choose_tier=true",
        "accounts.default_tier=2",
        "accounts.tier_devices=[4,1]",
    ];
    let server = start(dir.path(), &set);
    let site = get(server.address, "/v1/site").await.unwrap().json();
    let expected = json!({
        "name": "Cup Night", "about": "We stream the cup.", "contact": {"email": "team@example.org"},
        "registration": {
            "open": false, "choose_tier": true, "default_tier": 2,
            "tiers": [{"tier": 1, "devices": 4}, {"tier": 2, "devices": 1}],
        },
    });
    assert_eq!(site, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_routes_can_be_tried_on_a_page_whose_files_all_come_from_here() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let to = get(server.address, "/docs").await.unwrap();
    assert_eq!((to.status, to.header("location")), (308, Some("/docs/index.html")));
    let page = get(server.address, "/docs/index.html").await.unwrap();
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html")), "{page:?}");
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'self'"));
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    let files: Vec<_> = text
        .split(['"', '\''])
        .filter(|part| [".js", ".css", ".png"].iter().any(|ending| part.ends_with(ending)))
        .collect();
    assert!(files.len() >= 3, "{text}");
    for file in files {
        assert!(!file.contains("//"), "{file} comes from elsewhere");
        let name = file.trim_start_matches("./");
        assert_eq!(get(server.address, &format!("/docs/{name}")).await.unwrap().status, 200, "{file}");
    }
    let script = get(server.address, "/docs/swagger-initializer.js").await.unwrap();
    assert!(String::from_utf8_lossy(&script.body).contains("/openapi.json"));
    assert_eq!(get(server.address, "/docs/none").await.unwrap().status, 404);
}
