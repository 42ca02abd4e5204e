//! Accounts: unique names, roles, and the last admin who cannot be lost.

use emostream_store::{NewUser, Role, Store, StoreError, User, UserId};

use crate::setup::{NOW, Place, everywhere};

everywhere!(
    accounts_are_made_and_found,
    names_are_unique_whatever_their_case,
    no_new_name_looks_like_anothers,
    bad_names_and_hashes_are_refused,
    pages_follow_creation,
    changed_credentials_are_dated,
    a_password_that_was_changed_is_good_for_nothing,
    the_last_admin_stays,
    of_admins_removed_at_once_one_stays,
    an_admin_of_the_environment_is_made_or_changed,
);

/// An account whose id ascends with `number`.
pub(crate) fn someone(number: u8, name: &str, role: Role) -> NewUser {
    let id = UserId::from_parts(NOW + i64::from(number) * 1_000, [number; 10]);
    NewUser { id, name: name.to_owned(), role, password_hash: format!("$hash${number}"), tier: Some(number) }
}

async fn add(store: &Store, number: u8, name: &str, role: Role) -> User {
    store.create_user(&someone(number, name, role), NOW).await.unwrap()
}

async fn accounts_are_made_and_found(place: Place) {
    let store = place.open().await;
    let made = add(&store, 1, "  Ana Žižek ", Role::Broadcaster).await;
    assert_eq!(
        made,
        User {
            id: someone(1, "", Role::Viewer).id,
            name: "Ana Žižek".into(),
            role: Role::Broadcaster,
            password_hash: "$hash$1".into(),
            tier: Some(1),
            created_us: NOW,
            credentials_changed_us: NOW,
        }
    );
    store.close().await;
    let store = place.open().await;
    assert_eq!(store.user(made.id).await.unwrap().as_ref(), Some(&made));
    assert_eq!(store.user_by_name("ana žižek").await.unwrap().as_ref(), Some(&made));
    assert_eq!(store.user_by_name(" ANA ŽIŽEK").await.unwrap().as_ref(), Some(&made));
    for unknown in ["ana", "", "a\0b", &"x".repeat(500)] {
        assert_eq!(store.user_by_name(unknown).await.unwrap(), None, "{unknown:?}");
    }
    assert_eq!(store.user(someone(2, "", Role::Viewer).id).await.unwrap(), None);
    store.delete_user(made.id).await.unwrap();
    assert_eq!(store.user(made.id).await.unwrap(), None);
    assert_eq!(store.delete_user(made.id).await, Err(StoreError::NotFound { what: "user" }));
}

async fn names_are_unique_whatever_their_case(place: Place) {
    let store = place.open().await;
    add(&store, 1, "Ána", Role::Viewer).await;
    for (number, name) in [(2, "Ána"), (3, "ÁNA"), (4, " ána\t")] {
        let again = store.create_user(&someone(number, name, Role::Admin), NOW).await;
        assert_eq!(again, Err(StoreError::Conflict { what: "user name" }), "{name}");
    }
    add(&store, 5, "Ana", Role::Viewer).await;
    assert_eq!(store.users(None, 10).await.unwrap().items.len(), 2);
}

async fn no_new_name_looks_like_anothers(place: Place) {
    let store = place.open().await;
    let admin = add(&store, 1, "Admin", Role::Admin).await;
    for (number, name) in [(2, "ａｄｍｉｎ"), (3, "ADMIN"), (4, "admin\u{a0}")] {
        let again = store.create_user(&someone(number, name, Role::Viewer), NOW).await;
        assert_eq!(again, Err(StoreError::Conflict { what: "user name" }), "{name}");
    }
    for name in ["admin\u{200b}", "\u{202e}nimda", "ad\u{ad}min"] {
        let refused = store.create_user(&someone(5, name, Role::Viewer), NOW).await;
        assert!(matches!(refused, Err(StoreError::Invalid { field: "name", .. })), "{name:?}: {refused:?}");
        let refused = store.upsert_admin(someone(5, "", Role::Admin).id, name, "$hash", NOW).await;
        assert!(matches!(refused, Err(StoreError::Invalid { field: "name", .. })), "{name:?}: {refused:?}");
    }
    // Nobody becomes admin for looking like one.
    let refused = store.upsert_admin(someone(6, "", Role::Admin).id, "ａｄｍｉｎ", "$hash", NOW).await;
    assert_eq!(refused, Err(StoreError::Conflict { what: "user name" }));
    assert_eq!(store.users(None, 10).await.unwrap().items, std::slice::from_ref(&admin));
    // Who logs in types the name as it is.
    assert_eq!(store.user_by_name("ａｄｍｉｎ").await.unwrap(), None);
    store.delete_user(admin.id).await.unwrap_err();
    let ben = add(&store, 7, "Ben", Role::Viewer).await;
    store.delete_user(ben.id).await.unwrap();
    add(&store, 8, "ｂｅｎ", Role::Viewer).await;
}

async fn bad_names_and_hashes_are_refused(place: Place) {
    let store = place.open().await;
    for bad in ["", "   ", "a\nb", "a\0", &"é".repeat(65)] {
        let refused = store.create_user(&someone(1, bad, Role::Viewer), NOW).await;
        assert!(matches!(refused, Err(StoreError::Invalid { field: "name", .. })), "{bad:?}: {refused:?}");
    }
    add(&store, 1, &"é".repeat(64), Role::Viewer).await;
    for bad in ["", "a\0", &"x".repeat(513)] {
        let user = NewUser { password_hash: bad.to_owned(), ..someone(2, "ana", Role::Viewer) };
        let refused = store.create_user(&user, NOW).await;
        assert!(matches!(refused, Err(StoreError::Invalid { field: "password_hash", .. })), "{refused:?}");
    }
}

async fn pages_follow_creation(place: Place) {
    let store = place.open().await;
    for number in [3, 1, 5, 2, 4] {
        add(&store, number, &format!("user {number}"), Role::Viewer).await;
    }
    let first = store.users(None, 2).await.unwrap();
    let second = store.users(first.next, 2).await.unwrap();
    let third = store.users(second.next, 2).await.unwrap();
    let tiers: Vec<_> =
        [&first, &second, &third].iter().flat_map(|page| &page.items).filter_map(|user| user.tier).collect();
    assert_eq!(tiers, [1, 2, 3, 4, 5]);
    assert_eq!(third.next, None);
    assert_eq!(store.users(None, 5).await.unwrap().next, None, "nothing follows a page that is just full");
    for limit in [0, 1_001] {
        assert!(matches!(store.users(None, limit).await, Err(StoreError::Invalid { field: "limit", .. })));
    }
}

async fn changed_credentials_are_dated(place: Place) {
    let store = place.open().await;
    let made = add(&store, 1, "ana", Role::Viewer).await;
    store.set_password_hash(made.id, "$new", NOW + 5).await.unwrap();
    let user = store.user(made.id).await.unwrap().unwrap();
    assert_eq!((user.password_hash.as_str(), user.credentials_changed_us), ("$new", NOW + 5));
    store.set_role(made.id, Role::Moderator, NOW + 6).await.unwrap();
    let user = store.user(made.id).await.unwrap().unwrap();
    assert_eq!((user.role, user.credentials_changed_us, user.created_us), (Role::Moderator, NOW + 6, NOW));
    store.set_role(made.id, Role::Moderator, NOW + 7).await.unwrap();
    assert_eq!(store.user(made.id).await.unwrap().unwrap().credentials_changed_us, NOW + 6);
    let nobody = someone(9, "", Role::Viewer).id;
    let missing = Err(StoreError::NotFound { what: "user" });
    assert_eq!(store.set_password_hash(nobody, "$new", NOW).await, missing);
    assert_eq!(store.set_role(nobody, Role::Admin, NOW).await, missing);
}

async fn a_password_that_was_changed_is_good_for_nothing(place: Place) {
    let store = place.open().await;
    let made = add(&store, 1, "ana", Role::Viewer).await;
    let old = made.password_hash.as_str();
    assert_eq!(store.exchange_password_hash(made.id, old, "$new", NOW + 5).await, Ok(true));
    // Whoever has shown the old one comes too late, whatever it was for.
    assert_eq!(store.exchange_password_hash(made.id, old, "$stolen", NOW + 6).await, Ok(false));
    assert_eq!(store.delete_user_with(made.id, old).await, Ok(false));
    let user = store.user(made.id).await.unwrap().unwrap();
    assert_eq!((user.password_hash.as_str(), user.credentials_changed_us), ("$new", NOW + 5));
    let refused = store.exchange_password_hash(made.id, "$new", "", NOW).await;
    assert!(matches!(refused, Err(StoreError::Invalid { field: "password_hash", .. })));
    assert_eq!(store.delete_user_with(made.id, "$new").await, Ok(true));
    assert_eq!(store.user(made.id).await, Ok(None));
    assert_eq!(store.exchange_password_hash(made.id, "$new", "$newer", NOW).await, Ok(false));
    let missing = Err(StoreError::NotFound { what: "user" });
    assert_eq!(store.delete_user_with(made.id, "$new").await, missing);
}

async fn the_last_admin_stays(place: Place) {
    let store = place.open().await;
    let one = add(&store, 1, "one", Role::Admin).await;
    add(&store, 2, "other", Role::Broadcaster).await;
    assert_eq!(store.delete_user(one.id).await, Err(StoreError::LastAdmin));
    assert_eq!(store.set_role(one.id, Role::Viewer, NOW).await, Err(StoreError::LastAdmin));
    let two = add(&store, 3, "two", Role::Admin).await;
    store.set_role(one.id, Role::Viewer, NOW).await.unwrap();
    assert_eq!(store.delete_user(two.id).await, Err(StoreError::LastAdmin));
    let counts = store.count_by_role().await.unwrap();
    assert_eq!(counts, [(Role::Viewer, 1), (Role::Moderator, 0), (Role::Broadcaster, 1), (Role::Admin, 1)]);
}

async fn of_admins_removed_at_once_one_stays(place: Place) {
    let store = place.open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        add(&store, number, &format!("admin {number}"), Role::Admin).await;
    }
    for number in 0..16 {
        let store = store.clone();
        let id = someone(number, "", Role::Admin).id;
        tasks.spawn(async move {
            match number % 2 {
                0 => store.delete_user(id).await,
                _ => store.set_role(id, Role::Viewer, NOW).await,
            }
        });
    }
    let refused: Vec<_> = tasks.join_all().await.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused, [StoreError::LastAdmin]);
    assert_eq!(store.count_by_role().await.unwrap()[3], (Role::Admin, 1));
}

async fn an_admin_of_the_environment_is_made_or_changed(place: Place) {
    let store = place.open().await;
    let id = someone(1, "", Role::Admin).id;
    let made = store.upsert_admin(id, "Root", "$one", NOW).await.unwrap();
    assert_eq!((made.id, made.role, made.name.as_str()), (id, Role::Admin, "Root"));
    let other = someone(2, "", Role::Admin).id;
    let again = store.upsert_admin(other, "root", "$two", NOW + 9).await.unwrap();
    assert_eq!((again.id, again.name.as_str(), again.password_hash.as_str()), (id, "Root", "$two"));
    assert_eq!(again.credentials_changed_us, NOW + 9);
    assert_eq!(store.user(id).await.unwrap(), Some(again));
    add(&store, 3, "ana", Role::Viewer).await;
    let raised = store.upsert_admin(other, "ana", "$three", NOW).await.unwrap();
    assert_eq!(raised, store.user_by_name("ana").await.unwrap().unwrap());
    assert_eq!(raised.role, Role::Admin);
    let taken = store.upsert_admin(id, "someone else", "$four", NOW).await;
    assert_eq!(taken, Err(StoreError::Conflict { what: "user id" }));
}
