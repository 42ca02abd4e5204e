//! What is sent, sent again, and counted.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::Ordering,
    time::Duration,
};

use emostream_simulator::{audience::Audience, scenario::Scenario};
use serde_json::Value;

use super::{
    load,
    server::{Arrival, Reply, Server},
    simulate,
};

fn count(results: &Value, name: &str) -> usize {
    results["counts"][name].as_u64().unwrap() as usize
}

/// Every reaction is accounted for, and attempts of one id are the same reaction.
fn check(results: &Value, server: &Server) -> (usize, usize) {
    let arrivals = server.arrivals();
    let mut by_id: HashMap<&str, &Arrival> = HashMap::new();
    for arrival in &arrivals {
        let first = by_id.entry(&arrival.id).or_insert(arrival);
        assert_eq!((&first.user, &first.emote), (&arrival.user, &arrival.emote), "a retry is the same");
    }
    let [planned, sent, overflowed, unsent] =
        ["planned", "sent", "overflowed", "unsent"].map(|name| count(results, name));
    assert_eq!(planned, sent + overflowed + unsent, "{results}");
    let answers = ["accepted", "duplicates", "rejected", "unanswered"].map(|name| count(results, name));
    assert_eq!(sent, answers.iter().sum::<usize>(), "{results}");
    (by_id.len(), arrivals.len())
}

fn flaky(attempt: usize) -> Reply {
    match attempt % 7 {
        2 | 5 => Reply::TakeAndDrop,
        4 => Reply::Later(0),
        _ => Reply::Take,
    }
}

#[tokio::test]
async fn http_retries_keep_their_ids_and_every_reaction_is_counted_once() {
    let server = Server::start(flaky).await;
    let line = format!("--url {} --rate 300 --duration 1s --connections 8 --seed 1", server.url);
    let results = load(&line).await;
    let (ids, attempts) = check(&results, &server);
    assert_eq!((count(&results, "sent"), ids), (300, 300));
    assert_eq!(count(&results, "accepted") + count(&results, "duplicates"), 300);
    assert!(count(&results, "duplicates") > 20, "{results}");
    assert_eq!(count(&results, "retried"), attempts - 300);
    assert_eq!(server.kept.taken.lock().unwrap().len(), 300, "the log has each once");
    assert_eq!(results["latency_ms"]["number"], 300);
    server.stop().await;
}

#[tokio::test]
async fn websocket_retries_keep_their_ids_and_every_reaction_is_counted_once() {
    let server = Server::start(|attempt| match attempt % 50 {
        20 => Reply::TakeAndDrop,
        30..=35 => Reply::Later(20),
        _ => Reply::Take,
    })
    .await;
    let line =
        format!("--url {} --rate 500 --duration 1s --connections 3 --transport ws --seed 1", server.url);
    let results = load(&line).await;
    let (ids, attempts) = check(&results, &server);
    assert_eq!((count(&results, "accepted"), ids), (500, 500));
    assert_eq!(server.kept.taken.lock().unwrap().len(), 500);
    assert!(count(&results, "connections_lost") >= 5 && count(&results, "refusals") >= 30, "{results}");
    assert!(attempts > 500);
    server.stop().await;
}

#[tokio::test]
async fn batches_are_sent_whole_and_again_whole() {
    let server = Server::start(flaky).await;
    let line = format!("--url {} --rate 2000 --duration 1s --connections 4 --batch 50 --seed 1", server.url);
    let results = load(&line).await;
    let (ids, _) = check(&results, &server);
    assert_eq!((count(&results, "sent"), ids), (2_000, 2_000));
    assert_eq!(count(&results, "accepted") + count(&results, "duplicates"), 2_000);
    assert!(count(&results, "duplicates") >= 50 && count(&results, "refusals") >= 1, "{results}");
    server.stop().await;
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let server = Server::start(|attempt| if attempt == 0 { Reply::Later(1_000) } else { Reply::Take }).await;
    let line = format!("--url {} --rate 1 --duration 100ms --connections 1 --seed 1", server.url);
    let results = load(&line).await;
    let arrivals = server.arrivals();
    assert_eq!((arrivals.len(), &arrivals[0].id), (2, &arrivals[1].id));
    assert!(arrivals[1].at - arrivals[0].at >= Duration::from_secs(1));
    assert!(results["latency_ms"]["max"].as_f64().unwrap() >= 1_000.0, "latency counts from the due time");
    server.stop().await;
}

#[tokio::test]
async fn ids_follow_the_clock_of_the_server() {
    for transport in ["http", "http --batch 10", "ws"] {
        let server = Server::start(|_| Reply::Take).await;
        server.kept.ahead_ms.store(-3_600_000, Ordering::Relaxed);
        let line = format!(
            "--url {} --rate 100 --duration 500ms --connections 1 --transport {transport}",
            server.url
        );
        let results = load(&line).await;
        check(&results, &server);
        assert_eq!((count(&results, "accepted"), count(&results, "rejected")), (50, 0), "{transport}");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_closed_loop_sends_as_fast_as_it_is_answered() {
    for transport in ["http", "ws"] {
        let server = Server::start(|_| Reply::Take).await;
        let line = format!(
            "--url {} --closed-loop --duration 300ms --connections 2 --transport {transport}",
            server.url
        );
        let results = load(&line).await;
        check(&results, &server);
        assert!(count(&results, "sent") > 50, "{results}");
        assert_eq!(count(&results, "accepted"), count(&results, "sent"));
        server.stop().await;
    }
}

#[tokio::test]
async fn the_same_seed_sends_the_same_reactions_with_other_ids() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.toml");
    let text = "title = 'Small'\ndescription = 'One.'\npeople = 50\nactivity = 0.8\n[[phase]]\nname = 'only'\n\
                seconds = 10\nrate = 20\nemotes = { '🔥' = 2, '👏' = 1 }\n";
    std::fs::write(&path, text).unwrap();
    let mut sent = Vec::new();
    for _ in 0..2 {
        let server = Server::start(|_| Reply::Take).await;
        let line = format!("{} --url {} --seed 9 --speed 10 --connections 1", path.display(), server.url);
        simulate(&line).await.unwrap();
        sent.push(server.arrivals());
        server.stop().await;
    }
    let scenario = Scenario::parse(text).unwrap();
    let planned: Vec<_> = Audience::new(&scenario, 9, 1.0)
        .map(|tap| (format!("fan-{}", tap.user), tap.emote.to_string()))
        .collect();
    let what = |arrivals: &[Arrival]| -> Vec<_> {
        arrivals.iter().map(|arrival| (arrival.user.clone(), arrival.emote.clone())).collect()
    };
    assert!(planned.len() > 100);
    assert_eq!((what(&sent[0]), what(&sent[1])), (planned.clone(), planned));
    let ids: HashSet<_> = sent.iter().flatten().map(|arrival| &arrival.id).collect();
    assert_eq!(ids.len(), sent[0].len() + sent[1].len(), "a second run is not a repeat of the first");
}

#[tokio::test]
async fn no_server_and_refusals_are_told_in_one_line() {
    let error = simulate("match --url http://127.0.0.1:1 --wait 300ms").await.unwrap_err();
    let text = format!("{error:#}");
    assert!(text.starts_with("no server at http://127.0.0.1:1 within 0 s: Connection refused"), "{text}");
    assert!(!text.contains('\n'));
    let server = Server::start(|_| Reply::Refuse).await;
    let line = format!("match --url {} --duration 500ms", server.url);
    let text = format!("{:#}", simulate(&line).await.unwrap_err());
    assert!(text.contains("accepted none of") && text.contains("emote-not-allowed"), "{text}");
    server.stop().await;
}
