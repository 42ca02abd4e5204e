//! Reading well-formed, malformed and hostile bodies.

use super::{Body, Rejection, RejectionKind, parse_body, parse_one};
use crate::{emote::Emotes, limits::REACTIONS_PER_REQUEST_MAX, palette::Palette};

const NOW: i64 = 1_760_000_000_000;

fn check(body: &str) -> Result<(), Rejection> {
    let emotes = Emotes::new();
    let palette = Palette::new(1, &["🔥"], Some(&["👏"]), &[] as &[&str], &emotes).unwrap();
    parse_one(body.as_bytes())?.validate(&palette, &emotes, NOW, || [0; 10]).map(|_| ())
}

#[test]
fn each_bad_field_is_named() {
    let id_at = |ms| crate::ReactionId::from_parts(ms, [1; 10]);
    let cases = [
        (r#"{}"#.to_owned(), RejectionKind::FieldMissing, Some("emote")),
        (r#"{"emote":5}"#.to_owned(), RejectionKind::FieldInvalid, Some("emote")),
        (r#"{"emote":null}"#.to_owned(), RejectionKind::FieldInvalid, Some("emote")),
        (format!(r#"{{"emote":"{}"}}"#, "x".repeat(41)), RejectionKind::FieldInvalid, Some("emote")),
        (r#"{"emote":"nope"}"#.to_owned(), RejectionKind::EmoteUnknown, Some("emote")),
        (r#"{"emote":"😀"}"#.to_owned(), RejectionKind::EmoteNotAllowed, Some("emote")),
        (r#"{"emote":"🔥","id":"x"}"#.to_owned(), RejectionKind::FieldInvalid, Some("id")),
        (r#"{"emote":"🔥","id":7}"#.to_owned(), RejectionKind::FieldInvalid, Some("id")),
        (
            format!(r#"{{"emote":"🔥","id":"{}"}}"#, id_at(NOW - 120_001)),
            RejectionKind::IdOutOfRange,
            Some("id"),
        ),
        (r#"{"emote":"🔥","user_id":""}"#.to_owned(), RejectionKind::FieldInvalid, Some("user_id")),
        (r#"{"emote":"🔥","user_id":"a\u0000b"}"#.to_owned(), RejectionKind::FieldInvalid, Some("user_id")),
        (r#"{"emote":"🔥","tapped_at":"noon"}"#.to_owned(), RejectionKind::FieldInvalid, Some("tapped_at")),
        (
            r#"{"emote":"🔥","media_time_ms":-1}"#.to_owned(),
            RejectionKind::FieldInvalid,
            Some("media_time_ms"),
        ),
        (
            r#"{"emote":"🔥","media_time_ms":9e99}"#.to_owned(),
            RejectionKind::FieldInvalid,
            Some("media_time_ms"),
        ),
        (
            r#"{"emote":"🔥","media_time_ms":9999999999}"#.to_owned(),
            RejectionKind::FieldInvalid,
            Some("media_time_ms"),
        ),
        (r#"{"emote":"🔥","emote":"🔥"}"#.to_owned(), RejectionKind::FieldInvalid, None),
        (r#"{"emote":"#.to_owned(), RejectionKind::BodyInvalid, None),
        (r#"[1]"#.to_owned(), RejectionKind::FieldInvalid, None),
    ];
    for (body, kind, field) in cases {
        let rejection = check(&body).expect_err(&body);
        assert_eq!((rejection.kind, rejection.field), (kind, field), "{body}: {}", rejection.detail);
        assert!(
            rejection.detail.contains("expected") || rejection.detail.contains("allowed"),
            "{rejection:?}"
        );
    }
}

#[test]
fn unknown_fields_nulls_and_escapes_are_fine() {
    for body in [
        r#"{"emote":"🔥","more":{"deep":[1,2,{}]},"id":null,"user_id":null}"#.to_owned(),
        r#"{"emote":"\ud83d\udd25","user_id":"a\"b","media_time_ms":5}"#.to_owned(),
        format!(r#"{{"emote":"👏","id":"{}"}}"#, crate::ReactionId::from_parts(NOW + 5_000, [1; 10])),
        r#"{"emote":"🔥","tapped_at":"2026-04-06T10:32:11.123+02:00"}"#.to_owned(),
    ] {
        assert_eq!(check(&body), Ok(()), "{body}");
    }
}

#[test]
fn an_array_rejects_its_items_one_by_one() {
    let body = r#" [{"emote":"🔥"}, {"emote":3}, {"emote":"🔥","user_id":"u"}]"#;
    let Ok(Body::Many(items)) = parse_body(body.as_bytes(), false) else { panic!("an array") };
    assert_eq!(items.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    let lines = "{\"emote\":\"🔥\"}\r\n\n{\"emote\":}\n{\"emote\":\"👏\"}";
    let Ok(Body::Many(items)) = parse_body(lines.as_bytes(), true) else { panic!("lines") };
    assert_eq!(items.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn hostile_bodies_are_refused() {
    let deep = format!("{{\"emote\":{}", "[".repeat(100_000));
    let many = format!("[{}]", vec![r#"{"emote":"🔥"}"#; 1_001].join(","));
    let many_lines = vec![r#"{"emote":"🔥"}"#; 1_001].join("\n");
    let bodies: [(&[u8], bool); 8] = [
        (deep.as_bytes(), false),
        (many.as_bytes(), false),
        (many_lines.as_bytes(), true),
        (b"", false),
        (b"\xff\xfe", false),
        (b"{\"emote\":\"\xff\"}", false),
        (b"5", false),
        (b"[{\"emote\":\"\xc3\"}", false),
    ];
    for (body, ndjson) in bodies {
        assert!(
            parse_body(body, ndjson).is_err(),
            "{:?}",
            String::from_utf8_lossy(&body[..body.len().min(40)])
        );
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(body: Vec<u8>, ndjson: bool) {
        let _read = parse_body(&body, ndjson);
    }

    #[test]
    fn json_like_text_is_read_or_refused(body in "[\\[{]?(\"(emote|id|user_id)\":(\"[a-z🔥]{0,3}\"|[0-9]|null|\\{),?){0,4}[}\\]]{0,2}") {
        if let Ok(Body::One(one)) = parse_body(body.as_bytes(), false) {
            let emotes = Emotes::new();
            let _checked = one.validate(&Palette::every_emoji(&emotes), &emotes, NOW, || [0; 10]);
        }
    }
}

#[test]
fn lines_without_anything_do_not_count_and_one_too_many_is_refused() {
    let lines = |many: usize| format!("\n \r\n{}\t\n", "{\"emote\":\"🔥\"}\n\n".repeat(many));
    let all = lines(REACTIONS_PER_REQUEST_MAX);
    let Ok(Body::Many(items)) = parse_body(all.as_bytes(), true) else { panic!("lines") };
    assert_eq!(items.iter().flatten().count(), REACTIONS_PER_REQUEST_MAX);
    let refused = parse_body(lines(REACTIONS_PER_REQUEST_MAX + 1).as_bytes(), true).map(drop).unwrap_err();
    assert_eq!(refused.kind, RejectionKind::TooManyReactions);
    for last in ["{\"emote\":\"🔥\"}", "{\"emote\":\"🔥\"}\n"] {
        let Ok(Body::Many(items)) = parse_body(last.as_bytes(), true) else { panic!("lines") };
        assert_eq!(items.len(), 1);
    }
    let Ok(Body::Many(none)) = parse_body(b"", true) else { panic!("lines") };
    assert!(none.is_empty());
}
