//! Archived moments: found by time and by id, edited, hidden.

use emostream_protocol::Position;
use emostream_store::{ArchiveBatch, ArchiveQuery, MomentEdit, MomentRecord, Order, Store, StoreError};

use crate::{
    archive::{WINDOW_MS, all, epoch, source},
    channels::named,
    setup::{NOW, Place, everywhere},
};

everywhere!(
    moments_come_back_as_they_were,
    edits_change_what_is_given,
    hidden_moments_are_left_out_of_pages,
    bad_texts_are_refused,
    a_repeated_row_keeps_edits,
    edits_at_once_beside_archiving_are_all_there,
);

pub(crate) fn moment(number: u32) -> MomentRecord {
    let seq = u64::from(number + 1) * 512_000 + 1;
    MomentRecord {
        channel: named("main"),
        position: Position { epoch: epoch(1), seq },
        id: format!("main:{seq}"),
        emote: "🔥".into(),
        window_start_ms: i64::from(number) * WINDOW_MS,
        window_ms: 2_000,
        count: 12_345,
        strength: 3.25 + f64::from(number),
        reactors: 678,
        rule: "full".into(),
        rule_version: 9,
        media_time_ms: (number % 2 == 1).then_some(81_000),
        title: None,
        note: None,
        hidden: false,
        edited_by: None,
        edited_us: None,
    }
}

fn batch(numbers: std::ops::Range<u32>) -> ArchiveBatch {
    ArchiveBatch { windows: Vec::new(), moments: numbers.map(moment).collect() }
}

async fn with_moments(place: &Place, count: u32) -> Store {
    let store = place.open().await;
    let added = store.archive(&batch(0..count), &source(), 1).await.unwrap();
    assert_eq!(added.moments, u64::from(count));
    store
}

async fn edit(store: &Store, number: u32, edit: &MomentEdit) -> Result<MomentRecord, StoreError> {
    store.edit_moment(&named("main"), &moment(number).id, edit, "ana", NOW).await
}

async fn moments_come_back_as_they_were(place: Place) {
    let store = with_moments(&place, 70).await;
    let channel = named("main");
    let expected = batch(0..70).moments;
    assert_eq!(store.moments(&all(&channel), false).await.unwrap().items, expected);
    let first = store.moments(&ArchiveQuery { limit: 30, ..all(&channel) }, false).await.unwrap();
    let rest = store.moments(&ArchiveQuery { after: first.next, ..all(&channel) }, false).await.unwrap();
    assert_eq!([first.items, rest.items].concat(), expected);
    let some = ArchiveQuery { from_ms: WINDOW_MS + 1, to_ms: 3 * WINDOW_MS + 1, ..all(&channel) };
    assert_eq!(store.moments(&some, true).await.unwrap().items, expected[2..4]);
    assert_eq!(store.moment(&channel, &moment(3).id).await.unwrap(), Some(moment(3)));
    for id in ["main:1", "", "a\0", &"x".repeat(5_000)] {
        assert_eq!(store.moment(&channel, id).await.unwrap(), None, "{id:?}");
    }
    assert_eq!(store.moment(&named("other"), &moment(3).id).await.unwrap(), None);
}

async fn edits_change_what_is_given(place: Place) {
    let store = with_moments(&place, 2).await;
    let named_it =
        MomentEdit { title: Some(Some("2 : 1".into())), note: Some(Some("a\nb".into())), hidden: None };
    let changed = edit(&store, 1, &named_it).await.unwrap();
    let expected = MomentRecord {
        title: Some("2 : 1".into()),
        note: Some("a\nb".into()),
        edited_by: Some("ana".into()),
        edited_us: Some(NOW),
        ..moment(1)
    };
    assert_eq!(changed, expected);
    let hidden = MomentEdit { note: Some(None), hidden: Some(true), title: None };
    edit(&store, 1, &hidden).await.unwrap();
    let expected = MomentRecord { note: None, hidden: true, ..expected };
    assert_eq!(store.moment(&named("main"), &moment(1).id).await.unwrap(), Some(expected));
    assert_eq!(store.moment(&named("main"), &moment(0).id).await.unwrap(), Some(moment(0)));
    let missing = Err(StoreError::NotFound { what: "moment" });
    assert_eq!(edit(&store, 2, &hidden).await, missing);
}

async fn hidden_moments_are_left_out_of_pages(place: Place) {
    let store = with_moments(&place, 6).await;
    for number in [0, 2, 3] {
        edit(&store, number, &MomentEdit { hidden: Some(true), ..MomentEdit::default() }).await.unwrap();
    }
    let channel = named("main");
    let pages = ArchiveQuery { limit: 2, ..all(&channel) };
    let first = store.moments(&pages, false).await.unwrap();
    assert_eq!(first.items, [moment(1), moment(4)]);
    let second = store.moments(&ArchiveQuery { after: first.next, ..pages }, false).await.unwrap();
    assert_eq!((second.items, second.next), (vec![moment(5)], None));
    let backwards = ArchiveQuery { order: Order::Descending, limit: 2, ..all(&channel) };
    let first = store.moments(&backwards, false).await.unwrap();
    assert_eq!(first.items, [moment(5), moment(4)]);
    let second = store.moments(&ArchiveQuery { after: first.next, ..backwards }, false).await.unwrap();
    assert_eq!((second.items, second.next), (vec![moment(1)], None));
    assert_eq!(store.moments(&all(&channel), true).await.unwrap().items.len(), 6);
}

async fn bad_texts_are_refused(place: Place) {
    let store = with_moments(&place, 1).await;
    for (title, note, field) in [
        ("a\nb", "", "title"),
        (&"é".repeat(201), "", "title"),
        ("", "a\0", "note"),
        ("", &"é".repeat(2_001), "note"),
    ] {
        let wanted =
            MomentEdit { title: Some(Some(title.into())), note: Some(Some(note.into())), hidden: None };
        let refused = edit(&store, 0, &wanted).await;
        assert!(matches!(&refused, Err(StoreError::Invalid { field: f, .. }) if *f == field), "{refused:?}");
    }
    for strength in [f64::NAN, f64::INFINITY] {
        let bad = ArchiveBatch { moments: vec![MomentRecord { strength, ..moment(1) }], windows: Vec::new() };
        let refused = store.archive(&bad, &source(), 2).await;
        assert!(matches!(refused, Err(StoreError::Invalid { field: "strength", .. })), "{refused:?}");
    }
    assert_eq!(store.moment(&named("main"), &moment(0).id).await.unwrap(), Some(moment(0)));
}

async fn a_repeated_row_keeps_edits(place: Place) {
    let store = with_moments(&place, 1).await;
    let wanted = MomentEdit { title: Some(Some("Goal".into())), ..MomentEdit::default() };
    let changed = edit(&store, 0, &wanted).await.unwrap();
    let again = store.archive(&batch(0..2), &source(), 2).await.unwrap();
    assert_eq!(again.moments, 1);
    assert_eq!(store.moment(&named("main"), &changed.id).await.unwrap(), Some(changed));
}

async fn edits_at_once_beside_archiving_are_all_there(place: Place) {
    let store = with_moments(&place, 32).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..32 {
        let store = store.clone();
        tasks.spawn(async move {
            let numbers = 100 * (number + 1)..100 * (number + 1) + 100;
            store.archive(&batch(numbers), &source(), u64::from(number)).await.unwrap();
            let title = MomentEdit { title: Some(Some(format!("title {number}"))), ..MomentEdit::default() };
            edit(&store, number, &title).await.unwrap();
        });
    }
    tasks.join_all().await;
    for number in 0..32 {
        let found = store.moment(&named("main"), &moment(number).id).await.unwrap().unwrap();
        assert_eq!(found.title, Some(format!("title {number}")));
    }
    let channel = named("main");
    let from_ms = 100 * WINDOW_MS;
    let mut query = ArchiveQuery { from_ms, ..all(&channel) };
    let mut found = 0;
    loop {
        let page = store.moments(&query, false).await.unwrap();
        found += page.items.len();
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(found, 3_200);
    assert_eq!(store.archive_position(&source()).await, Ok(Some(31)));
}
