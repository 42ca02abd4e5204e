//! Custom emotes: an image that is one, a button for viewers, and nothing that could harm them.

use serde_json::json;

use super::{SETTINGS, put, start};
use crate::harness::{
    client::{Viewer, get, react},
    signed::Signed,
};

/// One pixel.
const GIF: &[u8] = &[
    71, 73, 70, 56, 57, 97, 1, 0, 1, 0, 128, 0, 0, 0, 0, 0, 255, 255, 255, 33, 249, 4, 1, 0, 0, 0, 0, 44, 0,
    0, 0, 0, 1, 0, 1, 0, 0, 2, 1, 68, 0, 59,
];

const GOAL: &str = "/v1/channels/main/emotes/goal";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_custom_emote_is_made_sent_shown_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut admin = Signed::admin(server.address).await;
    assert_eq!(react(server.address, "main", &json!({"emote": ":goal:"})).await.unwrap().status, 400);
    // What a client says that it is does not matter.
    let made = admin.send("PUT", GOAL, &[("content-type", "text/html")], GIF).await;
    assert_eq!((made.status, &made.json()["media_type"]), (201, &json!("image/gif")), "{made:?}");
    assert_eq!(admin.send("PUT", GOAL, &[], GIF).await.status, 200, "replaced");
    assert_eq!(react(server.address, "main", &json!({"emote": ":goal:"})).await.unwrap().status, 200);

    let featured = json!({"palette": {"featured": [":goal:", "🔥"]}});
    assert_eq!(put(&mut admin, "*", &featured).await.status, 200);
    let palette = get(server.address, "/v1/channels/main/palette").await.unwrap().json();
    let url = palette["featured"][0]["url"].as_str().unwrap();
    assert_eq!(
        palette["custom_emotes"][0],
        json!({"emote": ":goal:", "url": url, "media_type": "image/gif", "bytes": GIF.len()})
    );
    assert_eq!(palette["featured"][1], json!({"emote": "🔥"}));
    let image = get(server.address, url).await.unwrap();
    assert_eq!((image.status, &image.body[..], image.header("content-type")), (200, GIF, Some("image/gif")));
    assert_eq!(image.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(image.header("cache-control"), Some("public, max-age=86400"));
    for changing in [GOAL, &format!("{GOAL}?v=1")] {
        let image = get(server.address, changing).await.unwrap();
        assert_eq!(image.header("cache-control"), Some("no-cache"), "{changing}");
    }
    assert!(image.header("content-security-policy").unwrap().contains("default-src 'none'"));
    let known = [("if-none-match", image.header("etag").unwrap())];
    assert_eq!(admin.send("GET", url, &known, "").await.status, 304);
    let mut viewer = Viewer::join(server.address, "main", "").await.unwrap();
    assert_eq!(viewer.next_of("hello").await["palette"], json!([":goal:", "🔥"]));

    assert_eq!(admin.send("DELETE", GOAL, &[], "").await.status, 204);
    assert_eq!(viewer.next_of("settings").await["palette"][0], ":goal:", "as it was when the viewer came");
    assert_eq!(viewer.next_of("settings").await["palette"], json!(["🔥"]));
    assert_eq!(react(server.address, "main", &json!({"emote": ":goal:"})).await.unwrap().status, 400);
    for (method, path) in [("DELETE", GOAL), ("GET", GOAL)] {
        let gone = admin.send(method, path, &[], "").await;
        assert_eq!((gone.status, gone.problem().as_deref()), (404, Some("emote-not-found")), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_image_or_no_name_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut admin = Signed::admin(server.address).await;
    let polyglot = [GIF, b"<script>"].concat();
    let large = [GIF, &vec![0; 256 * 1024]].concat();
    for (path, body, status, problem) in [
        (GOAL, b"<svg onload=alert(1)>".to_vec(), 415, "unsupported-media"),
        (GOAL, polyglot, 415, "unsupported-media"),
        (GOAL, Vec::new(), 415, "unsupported-media"),
        (GOAL, large, 413, "body-too-large"),
        ("/v1/channels/main/emotes/a%20b", GIF.to_vec(), 400, "field-invalid"),
        ("/v1/channels/none/emotes/goal", GIF.to_vec(), 404, "channel-not-found"),
    ] {
        let answer = admin.send("PUT", path, &[], body).await;
        assert_eq!(
            (answer.status, answer.problem().as_deref()),
            (status, Some(problem)),
            "{path}: {answer:?}"
        );
    }
    let palette = get(server.address, "/v1/channels/main/palette").await.unwrap().json();
    assert_eq!(palette["custom_emotes"], json!([]));
    assert_eq!(admin.get(SETTINGS).await.json()["version"], 1);
    assert_eq!(admin.send("PUT", GOAL, &[], GIF).await.status, 201);
    assert_eq!(put(&mut admin, "*", &json!({"palette": {"featured": [":goal:"]}})).await.status, 200);
    let last = admin.send("DELETE", GOAL, &[], "").await;
    assert_eq!((last.status, last.problem().as_deref()), (409, Some("conflict")), "the only button");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_that_no_palette_names_make_room_for_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let mut admin = Signed::admin(server.address).await;
    let path = |number: usize| format!("/v1/channels/main/emotes/e{number}");
    for number in 0..256 {
        let made = admin.send("PUT", &path(number), &[], GIF).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    let full = admin.send("PUT", &path(256), &[], GIF).await;
    assert_eq!((full.status, &full.json()["field"]), (400, &json!("palette.custom_emotes")), "{full:?}");
    let kept = json!({"palette": {"custom_emotes": [":e7:"]}});
    assert_eq!(put(&mut admin, "*", &kept).await.status, 200);
    let made = admin.send("PUT", &path(256), &[], GIF).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(get(server.address, &path(7)).await.unwrap().status, 200);
    assert_eq!(get(server.address, &path(8)).await.unwrap().status, 404);
}
