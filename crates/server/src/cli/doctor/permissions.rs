//! What the brokers permit this node, against what its roles do.

use emostream_log::kafka::{KafkaAdmin, KafkaStartError, Permission};

use super::report::Report;
use crate::{
    aggregate::fleet::{COUNT_GROUP, MERGE_GROUP},
    bridge,
    config::{BridgeSource, Config, Role},
    node::{
        DEAD_LETTER_TOPIC, OUTPUT_TOPIC, PARTIALS_TOPIC, PULSES_TOPIC, RAW_TOPIC, SETTINGS_TOPIC, STATE_TOPIC,
    },
    relay,
};

/// An owner that begins as those that merge, and that nobody is.
const NOBODY: &str = "merge-doctor";

/// What other checks need to be permitted.
pub(super) struct Permitted {
    /// To write to `emote-state`.
    pub(super) writes_state: bool,
    /// To ask for groups.
    pub(super) groups: bool,
}

/// What a node with such roles does, each once.
fn needed(roles: &[Role], shows_raw: bool) -> Vec<Permission> {
    let has = |role| roles.contains(&role);
    let mut needed = vec![Permission::Read(STATE_TOPIC.into()), Permission::Write(STATE_TOPIC.into())];
    let mut topic = |kind: fn(String) -> Permission, topics: &[&str]| {
        for name in topics {
            let permission = kind((*name).to_owned());
            if !needed.contains(&permission) {
                needed.push(permission);
            }
        }
    };
    if has(Role::Ingest) {
        topic(Permission::Write, &[RAW_TOPIC]);
        topic(Permission::Read, &[PULSES_TOPIC]);
    }
    if has(Role::Aggregate) {
        topic(Permission::Read, &[RAW_TOPIC, PARTIALS_TOPIC, OUTPUT_TOPIC]);
        topic(Permission::Write, &[RAW_TOPIC, PARTIALS_TOPIC, OUTPUT_TOPIC, PULSES_TOPIC, DEAD_LETTER_TOPIC]);
        topic(Permission::Delete, &[RAW_TOPIC, PARTIALS_TOPIC, OUTPUT_TOPIC]);
        topic(Permission::Group, &[COUNT_GROUP, MERGE_GROUP]);
        topic(Permission::Owner, &[NOBODY]);
    }
    if has(Role::Edge) {
        topic(Permission::Read, &[OUTPUT_TOPIC, PULSES_TOPIC]);
        if shows_raw {
            topic(Permission::Read, &[RAW_TOPIC]);
        }
    }
    if has(Role::Relay) {
        topic(Permission::Read, &[OUTPUT_TOPIC]);
        topic(Permission::Group, &[relay::GROUP]);
    }
    if has(Role::Control) {
        topic(Permission::Read, &[OUTPUT_TOPIC]);
        topic(Permission::Write, &[RAW_TOPIC, SETTINGS_TOPIC]);
    } else {
        topic(Permission::Read, &[SETTINGS_TOPIC]);
    }
    if has(Role::Bridge) {
        topic(Permission::Read, &[RAW_TOPIC, OUTPUT_TOPIC]);
        topic(Permission::Write, &[RAW_TOPIC, DEAD_LETTER_TOPIC]);
        topic(Permission::Group, &[bridge::GROUP, bridge::RAW_GROUP, bridge::ROWS_GROUP]);
    }
    needed
}

/// The topic that a permission is about.
fn topic_of(permission: &Permission) -> Option<&str> {
    match permission {
        Permission::Read(topic) | Permission::Write(topic) | Permission::Delete(topic) => Some(topic),
        Permission::Group(_) | Permission::Owner(_) => None,
    }
}

/// Asks for everything that the roles do with topics that exist.
pub(super) fn examine(
    admin: &KafkaAdmin,
    config: &Config,
    there: &[&str],
    report: &mut Report,
) -> Result<Permitted, KafkaStartError> {
    const CHECK: &str = "permissions";
    let roles = config.effective_roles();
    let shows_raw = config.websocket_bridge.source == BridgeSource::Raw;
    let mut permitted = Permitted { writes_state: true, groups: true };
    let mut refused = 0;
    let is_there = |permission: &Permission| topic_of(permission).is_none_or(|topic| there.contains(&topic));
    let asked: Vec<_> = needed(&roles, shows_raw).into_iter().filter(is_there).collect();
    for permission in &asked {
        let Some(refusal) = admin.refusal(permission)? else { continue };
        refused += 1;
        match permission {
            Permission::Write(topic) if topic == STATE_TOPIC => permitted.writes_state = false,
            Permission::Group(group) if [COUNT_GROUP, MERGE_GROUP].contains(&group.as_str()) => {
                permitted.groups = false;
            }
            _ => {}
        }
        report.wrong(CHECK, &refusal.to_string(), "docs/operations/fleet.md lists what each role needs");
    }
    if refused == 0 {
        let names: Vec<_> = roles.iter().map(|role| role.name()).collect();
        report.fine(CHECK, &format!("all {} that the roles {} need", asked.len(), names.join(", ")));
    }
    // Who does not count need not be allowed to ask who does.
    permitted.groups &= roles.contains(&Role::Aggregate);
    Ok(permitted)
}

#[cfg(test)]
mod tests {
    use emostream_log::kafka::Permission;

    use super::{RAW_TOPIC, needed};
    use crate::config::Role;

    #[test]
    fn roles_need_what_they_do_and_no_more() {
        let edge = needed(&[Role::Edge], false);
        assert!(
            !edge.iter().any(|one| matches!(one, Permission::Delete(_) | Permission::Group(_))),
            "{edge:?}"
        );
        let raw = Permission::Read(RAW_TOPIC.into());
        assert!(!edge.contains(&raw) && needed(&[Role::Edge], true).contains(&raw));
        let writes = |permissions: &[Permission]| {
            permissions.iter().filter(|one| matches!(one, Permission::Write(_))).count()
        };
        assert_eq!(writes(&edge), 1, "emote-state alone");
        assert_eq!(writes(&needed(&[Role::Ingest], false)), 2);
        let mut all = needed(&Role::ALL, true);
        let number = all.len();
        all.dedup();
        assert_eq!(all.len(), number);
        assert!(needed(&[Role::Aggregate], false).contains(&Permission::Owner("merge-doctor".into())));
    }
}
