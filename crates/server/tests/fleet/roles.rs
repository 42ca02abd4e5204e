//! Roles on nodes of their own: each becomes ready alone, they find each other through the log, and nobody who only takes or
//! shows reactions needs control to be up.

use serde_json::{Value, json};

use crate::{
    brokers,
    fleet::Fleet,
    harness::{
        client::{Answer, Client, Viewer, get, react, reactions_path},
        new_id,
        signed::Signed,
        wait_for,
        windows::all_items,
    },
};

const SETTINGS: &str = "/v1/channels/main/settings";

/// A fleet without a crowd: what is sent is told one by one.
fn fleet() -> Fleet {
    Fleet::on(brokers::shared(), rand::random())
}

/// `/readyz` says that the node is ready, and the ready line names these roles and no others.
async fn assert_ready(fleet: &Fleet, name: &str, roles: &str) {
    let node = fleet.node(name);
    let ready = async || {
        let answer = get(node.address(), "/readyz").await.unwrap();
        (answer.status == 200 && answer.json()["ready"] == true).then_some(())
    };
    wait_for(&format!("{name} to be ready"), ready).await;
    let said = node.server().process.stdout();
    assert!(said.contains(&format!(" roles={roles} in ")), "{name}: {said}");
}

/// Sends reactions one by one until a window of the channel shows them at another node.
async fn assert_seen(fleet: &Fleet, taken_at: &str, shown_at: &str, emote: &str) {
    let (door, edge) = (fleet.node(taken_at).address(), fleet.node(shown_at).address());
    let answer = react(door, "main", &json!({"emote": emote, "id": new_id()})).await.unwrap();
    assert_eq!((answer.status, &answer.json()["accepted"]), (200, &json!(1)), "{answer:?}");
    let shown = async || {
        let windows = all_items(edge, "main", "windows").await;
        windows.iter().any(|window| window["counts"].get(emote) == Some(&json!(1))).then_some(())
    };
    wait_for(&format!("{emote}, taken at {taken_at}, at {shown_at}"), shown).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_role_starts_alone_and_all_together() {
    let mut fleet = fleet();
    let parts = [
        ("door", "ingest"),
        ("edge", "edge"),
        ("count", "aggregate"),
        ("home", "control"),
        ("bridge", "bridge"),
    ];
    for (name, roles) in parts {
        fleet.add(name, roles);
        // Nobody waits for the others: there may be none yet.
        fleet.node_mut(name).start().await;
        assert_ready(&fleet, name, roles).await;
    }
    // Nobody does what is not its own.
    let answer = react(fleet.node("edge").address(), "main", &json!({"emote": "🔥"})).await.unwrap();
    assert!((400..600).contains(&answer.status), "{answer:?}");
    // What control said last of all has reached ingest.
    fleet.open_entrance("door").await;
    assert_seen(&fleet, "door", "edge", "🔥").await;

    let all = "ingest,aggregate,edge,control,bridge";
    for (name, _) in parts {
        let ended = fleet.node_mut(name).stop().await;
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
    }
    // Another one takes over all of it, with what they have left in the log.
    fleet.add("whole", all);
    fleet.node_mut("whole").start().await;
    assert_ready(&fleet, "whole", all).await;
    fleet.open_entrance("whole").await;
    assert_seen(&fleet, "whole", "whole", "👏").await;
    let windows = all_items(fleet.node("whole").address(), "main", "windows").await;
    assert!(windows.iter().any(|window| window["counts"].get("🔥") == Some(&json!(1))), "{windows:?}");
}

/// One reaction of whoever has this cookie; of a new guest without.
async fn react_as(fleet: &Fleet, door: &str, cookie: Option<&str>) -> Answer {
    let mut client = Client::connect(fleet.node(door).address()).await.unwrap();
    let mut request =
        client.request("POST", &reactions_path("main")).header("content-type", "application/json");
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    let body = json!({"emote": "🎉", "id": new_id()}).to_string();
    let answer = client.send(request.body(bytes::Bytes::from(body).into()).unwrap()).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// A guest of one door is known at another: it is not signed in once more.
async fn assert_guest_is_known(fleet: &Fleet, signed_in_at: &str, known_at: &str) {
    let answer = react_as(fleet, signed_in_at, None).await;
    let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let known = react_as(fleet, known_at, Some(&cookie)).await;
    assert_eq!(known.header("set-cookie"), None, "a guest of {signed_in_at} at {known_at}");
    let forged = react_as(fleet, known_at, Some("emostream_guest=g1.a.b.c")).await;
    assert!(forged.header("set-cookie").is_some(), "{forged:?}");
}

/// Both edges show the same windows and moments, as far as both have them.
async fn assert_edges_agree(fleet: &Fleet) {
    for kind in ["windows", "moments"] {
        let pages = async || {
            let [a, b] = ["edge-a", "edge-b"].map(|edge| fleet.node(edge).address());
            (all_items(a, "main", kind).await, all_items(b, "main", kind).await)
        };
        let (a, b) = pages().await;
        assert!(!a.is_empty(), "no {kind}");
        let both = a.len().min(b.len());
        assert_eq!(a[..both], b[..both], "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_share_settings_guests_and_rows_and_need_control_for_none_of_it() {
    let mut fleet = fleet();
    let nodes = [
        ("home", "control"),
        ("door-a", "ingest"),
        ("door-b", "ingest"),
        ("edge-a", "edge"),
        ("edge-b", "edge"),
        ("count", "aggregate"),
    ];
    for (name, roles) in nodes {
        fleet.add(name, roles);
    }
    fleet.start(&["home"]).await;
    fleet.start(&["door-a", "door-b", "edge-a", "edge-b", "count"]).await;
    let mut viewers = Vec::new();
    for edge in ["edge-a", "edge-b"] {
        let address = fleet.node(edge).address();
        let join = async || Viewer::join(address, "main", "").await.ok();
        let mut viewer = wait_for(&format!("{edge} to know the channel"), join).await;
        assert_eq!(viewer.next_of("settings").await["version"], 1, "{edge}");
        viewers.push(viewer);
    }
    assert_guest_is_known(&fleet, "door-a", "door-b").await;

    // A change that control takes reaches viewers of other nodes, and is what still others judge by.
    let mut admin = Signed::admin(fleet.node("home").address()).await;
    let change = json!({"rule": {"kind": "plain", "threshold": 3}, "allowed_emotes": ["👏"]});
    let headers = [("content-type", "application/json"), ("if-match", "\"1\"")];
    let answer = admin.send("PUT", SETTINGS, &headers, change.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    for viewer in &mut viewers {
        let seen = viewer.next_of("settings").await;
        assert_eq!((&seen["version"], &seen["allowed_emotes"]), (&json!(2), &json!(["👏"])), "{seen}");
    }
    let crowd =
        |emote: &str| Value::from_iter((0..5).map(|at| json!({"emote": emote, "user_id": at.to_string()})));
    let moment = wait_for("a moment by the new rule", async || {
        for emote in ["👏", "🔥"] {
            let answer = react(fleet.node("door-a").address(), "main", &crowd(emote)).await.unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        all_items(fleet.node("edge-b").address(), "main", "moments").await.into_iter().next()
    });
    let moment = moment.await;
    assert_eq!((&moment["emote"], &moment["rule_version"]), (&json!("👏"), &json!(2)), "{moment}");
    for viewer in &mut viewers {
        let shown = viewer.next_of("moment").await;
        assert_eq!(shown["id"], moment["id"], "the first moment, at every edge");
    }
    assert_edges_agree(&fleet).await;

    // Control is gone: what runs goes on, and what comes back knows all that it knew.
    fleet.node_mut("home").kill9();
    assert_guest_is_known(&fleet, "door-b", "door-a").await;
    assert_seen(&fleet, "door-a", "edge-a", "🎈").await;
    for name in ["door-b", "edge-b"] {
        fleet.node_mut(name).kill9();
        fleet.start(&[name]).await;
        let roles = if name == "door-b" { "ingest" } else { "edge" };
        assert_ready(&fleet, name, roles).await;
    }
    assert_guest_is_known(&fleet, "door-a", "door-b").await;
    assert_seen(&fleet, "door-b", "edge-b", "🎃").await;
    let mut viewer = Viewer::join(fleet.node("edge-b").address(), "main", "").await.unwrap();
    assert_eq!(viewer.next_of("settings").await["version"], 2, "what control said before it went");
    assert_edges_agree(&fleet).await;
}

/// A node that counts can remember no more ids: nodes that take reactions elsewhere refuse more of them, and take others.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ids_that_counting_elsewhere_cannot_remember_are_refused_at_the_door() {
    let mut fleet = fleet();
    fleet.add("home", "control");
    fleet.add("door", "ingest");
    fleet.add("count", "aggregate");
    fleet.node_mut("count").set("ingest.remembered_ids_max=1000");
    fleet.start(&["home", "door", "count"]).await;
    fleet.open_entrance("door").await;
    let door = fleet.node("door").address();
    let refused = wait_for("memory for ids to be full elsewhere", async || {
        let reactions: Vec<_> = (0..500).map(|_| json!({"emote": "🔥", "id": new_id()})).collect();
        let answer = react(door, "main", &json!(reactions)).await.unwrap();
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!((refused.status, refused.problem().as_deref()), (503, Some("too-many-ids")), "{refused:?}");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    let without = react(door, "main", &json!({"emote": "🔥"})).await.unwrap();
    assert_eq!((without.status, &without.json()["accepted"]), (200, &json!(1)), "{without:?}");
}
