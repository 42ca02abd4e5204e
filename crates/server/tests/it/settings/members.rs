//! A channel for members: guests neither watch nor react, by whatever door they come, and those who are there have to go.

use http_body_util::Full;
use serde_json::json;

use super::{SETTINGS, put, start};
use crate::harness::{
    client::{Answer, Client, Seen, Viewer, get, react, reactions_path},
    process::Server,
    records::cat,
    signed::Signed,
};

async fn react_as(server: &Server, token: &str) -> Answer {
    let mut client = Client::connect(server.address).await.unwrap();
    let request = client.request("POST", &reactions_path("main"));
    let request = request.header("authorization", format!("Bearer {token}"));
    // Whoever it names, the account of the token reacts.
    let body = json!({"emote": "🔥", "user_id": "somebody"}).to_string();
    client.send(request.body(Full::new(body.into())).unwrap()).await.unwrap()
}

async fn end_of(mut viewer: Viewer) -> Seen {
    loop {
        match viewer.next().await {
            Seen::Frame(_) => {}
            end => return end,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_have_to_go_and_members_react_with_their_token() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut admin = Signed::admin(server.address).await;
    assert_eq!(admin.get(SETTINGS).await.json()["guests"], "allowed");
    let mut guest = Viewer::join(server.address, "main", "").await.unwrap();
    guest.next_of("settings").await;
    let listening = format!("ws://{}/ws", server.address);
    let mut listening = tokio_tungstenite::connect_async(listening).await.unwrap().0;
    let refused = put(&mut admin, "*", &json!({"guests": "some"})).await;
    assert_eq!((refused.status, refused.json()["field"].as_str()), (400, Some("guests")), "{refused:?}");
    assert_eq!(put(&mut admin, "*", &json!({"guests": "refused"})).await.json()["guests"], "refused");

    let members_only = Seen::Closed(4506, "guests-refused".into());
    assert_eq!(end_of(guest).await, members_only, "one who was there");
    // System A's clients as well, whether or not there is anything to tell them.
    let end = futures_util::StreamExt::next(&mut listening).await.unwrap().unwrap();
    assert!(end.to_string().contains("guests-refused"), "{end:?}");
    let viewer = Viewer::join(server.address, "main", "").await.unwrap();
    assert_eq!(end_of(viewer).await, members_only);
    for path in ["/v1/channels/main/events", "/v1/channels/main/events?ticket=nonsense"] {
        let answer = get(server.address, path).await.unwrap();
        let why = if path.contains("ticket") { "ticket-refused" } else { "guests-refused" };
        assert_eq!((answer.status, answer.problem().as_deref()), (403, Some(why)), "{path}: {answer:?}");
    }
    let bridge = tokio_tungstenite::connect_async(format!("ws://{}/ws", server.address)).await.unwrap().0;
    let mut bridge = bridge;
    let end = futures_util::StreamExt::next(&mut bridge).await.unwrap().unwrap();
    assert!(end.to_string().contains("guests-refused"), "{end:?}");

    for user in [json!({}), json!({"user_id": "ada"})] {
        let mut reaction = json!({"emote": "👏"});
        reaction.as_object_mut().unwrap().extend(user.as_object().unwrap().clone());
        let answer = react(server.address, "main", &reaction).await.unwrap();
        assert_eq!((answer.status, answer.problem().as_deref()), (403, Some("guests-refused")), "{answer:?}");
    }
    let mut client = Client::connect(server.address).await.unwrap();
    let tap = json!({"user_id": "ada", "emoji_type": "👏", "timestamp": "2026-01-01T00:00:00Z"}).to_string();
    assert_eq!(client.post("/emoji", "application/json", tap).await.unwrap().status, 403);
    let answer = react_as(&server, "a.b.c").await;
    assert_eq!((answer.status, answer.problem().as_deref()), (401, Some("token-invalid")), "{answer:?}");
    let answer = react_as(&server, &admin.token).await;
    assert_eq!((answer.status, &answer.json()["accepted"]), (200, &json!(1)), "{answer:?}");

    // What is open again is open for everybody.
    assert_eq!(put(&mut admin, "*", &json!({"guests": "allowed"})).await.status, 200);
    assert_eq!(react(server.address, "main", &json!({"emote": "🎉"})).await.unwrap().status, 200);
    let mut guest = Viewer::join(server.address, "main", "").await.unwrap();
    guest.next_of("hello").await;
    assert_eq!(server.stop().code, Some(0));
    let raw = cat(&["--topic", "emote-log"], dir.path());
    let reactions: Vec<_> =
        raw.iter().filter_map(|record| record["reactions"].as_array()).flatten().collect();
    let of = |emote: &str| {
        let reactions = reactions.iter().filter(|reaction| reaction["emote"] == emote);
        reactions
            .map(|reaction| reaction["user_id"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!((of("👏"), of("🔥")), (vec![], vec!["admin".to_owned()]), "{reactions:?}");
}
