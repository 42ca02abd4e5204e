//! The roles inside the server never import one another: they meet only in the log, the pulse path, the store and the internal API.

use super::tokens::{PathUse, Scan};
use super::{File, Finding};

/// The folders of the roles below the server's `src`.
const ROLES: &[&str] = &["ingest", "aggregate", "relay", "edge", "control", "bridge"];

/// Roles that have no access to SQL, so that they live on when the database does not.
const WITHOUT_SQL: &[&str] = &["ingest", "edge"];

/// Names that mean SQL: crates, and the server's own module for it.
const SQL: &[&str] = &["emostream_store", "sqlx", "store"];

const SERVER: &str = "crates/server/src/";

/// Reports paths from one role's folder into another's, and SQL where it must not be.
pub(crate) fn check(file: &File, scan: &Scan, findings: &mut Vec<Finding>) {
    let Some(module) = file.path.strip_prefix(SERVER).map(module_of) else { return };
    let Some(role) = module.first().filter(|first| ROLES.contains(&first.as_str())) else { return };
    for path in &scan.paths {
        let Some(target) = target(path, &module) else { continue };
        if target.in_crate && target.name != role && ROLES.contains(&target.name) {
            let message = format!("role `{role}` must not import role `{}`", target.name);
            findings.push(Finding::new(&file.path, path.line, message));
        }
        // A lone `store` may be a variable; only as a module of ours does it mean SQL.
        let sql = SQL.contains(&target.name) && (target.in_crate || target.name != "store");
        if sql && WITHOUT_SQL.contains(&role.as_str()) {
            let message = format!("role `{role}` has no access to SQL: it must not import `{}`", target.name);
            findings.push(Finding::new(&file.path, path.line, message));
        }
    }
}

/// Where a path leads: a module at the root of our crate, or another crate.
struct Target<'a> {
    name: &'a str,
    in_crate: bool,
}

/// Follows `crate`, `self` and `super`; nothing when the path stays within its own role.
fn target<'a>(path: &'a PathUse, module: &[String]) -> Option<Target<'a>> {
    let segments: Vec<&str> = path.segments.iter().map(String::as_str).skip_while(|s| *s == "self").collect();
    let first = *segments.first()?;
    if first == "crate" {
        return Some(Target { name: segments.get(1)?, in_crate: true });
    }
    if first == "super" {
        let steps = segments.iter().take_while(|segment| **segment == "super").count();
        let depth = module.len() + path.inside.len();
        let name = segments.get(steps)?;
        return (steps >= depth).then_some(Target { name, in_crate: true });
    }
    Some(Target { name: first, in_crate: false })
}

/// The module that a file below `src` is.
fn module_of(path: &str) -> Vec<String> {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::file_findings;

    #[test]
    fn a_role_may_use_itself_and_what_is_shared() {
        let text = "//! D.\nuse crate::edge::a;\nuse super::b;\nuse crate::{http, telemetry::c};\nmod t { use super::super::d; }\n";
        assert_eq!(file_findings("crates/server/src/edge/session.rs", text), [""; 0]);
    }

    #[test]
    fn another_role_is_found_however_it_is_reached() {
        let text = "//! D.\nuse crate::{http, ingest::Batch};\nuse super::super::relay::Topic;\nfn f() { go!(crate::control::x()); }\nmod t { use super::super::super::bridge; }\n";
        assert_eq!(
            file_findings("crates/server/src/edge/session.rs", text),
            [
                "crates/server/src/edge/session.rs:2: role `edge` must not import role `ingest`",
                "crates/server/src/edge/session.rs:3: role `edge` must not import role `relay`",
                "crates/server/src/edge/session.rs:4: role `edge` must not import role `control`",
                "crates/server/src/edge/session.rs:5: role `edge` must not import role `bridge`",
            ]
        );
    }

    #[test]
    fn a_role_in_one_file_or_a_mod_file_counts_from_its_own_place() {
        let text = "//! D.\nuse super::ingest;\n";
        assert_eq!(file_findings("crates/server/src/relay.rs", text).len(), 1);
        assert_eq!(file_findings("crates/server/src/relay/mod.rs", text).len(), 1);
        assert_eq!(file_findings("crates/server/src/relay/topic.rs", text), [""; 0]);
    }

    #[test]
    fn sql_stays_out_of_edge_and_ingest() {
        let text = "//! D.\nuse sqlx::Row;\nuse emostream_store::Users;\nuse crate::store::Pool;\nfn f(store: u8) -> u8 { store }\n";
        assert_eq!(file_findings("crates/server/src/ingest/batch.rs", text).len(), 3);
        assert_eq!(file_findings("crates/server/src/control/users.rs", text), [""; 0]);
    }

    #[test]
    fn outside_the_roles_everything_may_be_put_together() {
        assert_eq!(
            file_findings("crates/server/src/node.rs", "//! D.\nuse crate::{edge, ingest};\n"),
            [""; 0]
        );
    }
}
