//! Clusters and edges, as admins see and change them.

use serde_json::json;

use super::{Edge, PATIENT, place, start};
use crate::harness::{process, signed::Signed};

#[tokio::test(flavor = "multi_thread")]
async fn admins_see_clusters_and_empty_and_forget_edges() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[r#"placement.clusters=[{name="north", capacity=5}, {name="spare"}]"#]);
    let address = server.address;
    let mut north = Edge::join(address, "north-1", "north", 10).await;
    let mut south = Edge::join(address, "south-1", "south", 10).await;
    north.tell(5, &[], &[]).await;
    south.tell(1, &[], &[]).await;
    let mut admin = Signed::admin(address).await;
    let listed = admin.get("/v1/clusters").await.json();
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["north", "south", "spare"]);
    let seen = &listed["items"][0];
    assert_eq!((&seen["capacity"], &seen["viewers"]), (&json!(5), &json!(5)));
    assert_eq!((&seen["edges"][0]["name"], &seen["edges"][0]["state"]), (&json!("north-1"), &json!("live")));
    assert_eq!(
        (&listed["items"][1]["capacity"], &listed["items"][1]["created_at"]),
        (&json!(null), &json!(null))
    );
    // The cluster is full although its edge is not.
    for _ in 0..5 {
        assert_eq!(place(address, None, json!({})).await.json()["edge"], "south-1");
    }
    // An edge that is being emptied gets nobody, and is told to send its viewers elsewhere.
    let drained = admin.json("PUT", "/v1/edges/south-1", &json!({"draining": true})).await;
    assert_eq!((drained.status, &drained.json()["state"]), (200, &json!("draining")));
    assert_eq!(place(address, None, json!({})).await.status, 503);
    assert_eq!(south.tell(0, &[], &[]).await["drain"], true);
    assert_eq!(north.tell(5, &[], &[]).await["drain"], false);
    let larger = admin.json("PUT", "/v1/clusters/north", &json!({"capacity": 6})).await;
    assert_eq!((larger.status, &larger.json()["capacity"]), (200, &json!(6)));
    let answers = [
        ("PUT", "/v1/clusters/north", json!({"capacity": 0}), 400, "field-invalid"),
        ("DELETE", "/v1/clusters/north", json!(null), 409, "conflict"),
        ("DELETE", "/v1/clusters/never", json!(null), 404, "cluster-not-found"),
        ("PUT", "/v1/edges/never", json!({"draining": true}), 404, "edge-not-found"),
        ("DELETE", "/v1/edges/never", json!(null), 404, "edge-not-found"),
    ];
    for (method, path, body, status, problem) in answers {
        let answer = admin.json(method, path, &body).await;
        assert_eq!((answer.status, answer.problem().as_deref()), (status, Some(problem)), "{method} {path}");
    }
    assert_eq!(admin.json("DELETE", "/v1/clusters/spare", &json!(null)).await.status, 204);
    assert_eq!(admin.json("DELETE", "/v1/edges/south-1", &json!(null)).await.status, 204);
    let listed = admin.get("/v1/clusters").await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    // What is in the store can be seen beside the server, too.
    let data_dir = dir.path().to_str().unwrap();
    let shown = process::run(&["clusters", "ls", "--json", "--data-dir", data_dir, "--set", PATIENT]);
    assert!(shown.status.success(), "{shown:?}");
    let line: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(
        (&line["name"], &line["capacity"], &line["edges"][0]["viewers"]),
        (&json!("north"), &json!(6), &json!(5))
    );
    let shown = process::run(&["clusters", "ls", "--data-dir", data_dir, "--set", PATIENT]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("north") && text.contains("north-1") && text.contains("live"), "{text}");
    let nowhere = process::run(&["clusters", "ls", "--data-dir", &format!("{data_dir}/nowhere")]);
    assert_eq!(nowhere.status.code(), Some(1), "{nowhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_lost_an_edge_is_sent_to_another_one_as_long_as_it_has_room() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let address = server.address;
    // The larger one has the larger free share all the while.
    Edge::join(address, "large", "north", 1_000).await;
    Edge::join(address, "small", "north", 3).await;
    for _ in 0..3 {
        let answer = place(address, None, json!({"lost_edge": "large"})).await;
        assert_eq!((answer.status, &answer.json()["edge"]), (200, &json!("small")), "{answer:?}");
    }
    for lost in ["large", "small", "one that there never was"] {
        let answer = place(address, None, json!({"lost_edge": lost})).await;
        assert_eq!((answer.status, &answer.json()["edge"]), (200, &json!("large")), "{answer:?}");
    }
}
