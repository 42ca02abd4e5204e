//! The generated pages of `docs/reference` are what the code says. `EMOSTREAM_UPDATE=1` writes them anew.

use std::{fmt::Write, path::Path};

use emostream::{
    config::Config,
    http::{problem::ErrorType, routes::ROUTES},
    telemetry::{Labelled, Metrics},
};

mod configuration;

const GENERATED: &str = "<!-- Generated from the code: EMOSTREAM_UPDATE=1 cargo test -p emostream-server --test it reference -->\n\n";

fn check(name: &str, content: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name);
    if std::env::var_os("EMOSTREAM_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == content,
        "docs/reference/{name} is not what the code says: run with EMOSTREAM_UPDATE=1"
    );
}

#[test]
fn errors() {
    let mut page = format!(
        "{GENERATED}# Errors\n\nUnder `/v1` errors are problems (RFC 9457), elsewhere `{{\"error\": \"…\"}}`. The last part of `type` in a problem (RFC 9457), described by each server under `/errors/<name>`.\n\n| name | status | meaning |\n|---|---|---|\n"
    );
    for kind in ErrorType::ALL {
        let (status, name, title) = kind.facts();
        writeln!(page, "| `{name}` | {} | {title} |", status.as_u16()).unwrap();
    }
    check("errors.md", &page);
}

#[test]
fn routes() {
    let mut page = format!(
        "{GENERATED}# Routes\n\n`/openapi.json` of a running server has their parameters and bodies.\n\n| | path | who | what | errors |\n|---|---|---|---|---|\n"
    );
    for route in ROUTES {
        let method = route.method.name();
        let errors: Vec<_> =
            route.all_errors().into_iter().map(|kind| format!("`{}`", kind.name())).collect();
        let summary = route.document.summary;
        writeln!(
            page,
            "| {method} | `{}` | {} | {summary} | {} |",
            route.path,
            route.access,
            errors.join(" ")
        )
        .unwrap();
    }
    check("routes.md", &page);
}

#[test]
fn metrics() {
    let mut page = format!(
        "{GENERATED}# Metrics\n\n`/metrics`, in the OpenMetrics text format, where the names of counters have `_total` at their end. The one label is `kind`: the\nerror, the reason, the transport or the class of status.\n\n| name | type | label | meaning |\n|---|---|---|---|\n"
    );
    let metrics = Metrics::default();
    // A family without a sample is not exposed.
    let label = Labelled { kind: "…" };
    for family in [
        &metrics.reactions_rejected,
        &metrics.submissions_refused,
        &metrics.viewers_closed,
        &metrics.tickets,
        &metrics.placement_reports,
        &metrics.logins,
        &metrics.registrations,
        &metrics.placements,
        &metrics.responses,
    ] {
        family.get_or_create(&label).inc();
    }
    metrics.viewers.get_or_create(&label).inc();
    metrics.edges_known.get_or_create(&label).inc();
    let text = metrics.encode();
    let kind_of = |name: &str| {
        let prefix = format!("# TYPE {name} ");
        text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default().to_owned()
    };
    for (name, help) in text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' ')) {
        let labelled = text.lines().any(|line| line.starts_with(name) && line.contains("{kind="));
        writeln!(
            page,
            "| `{name}` | {} | {} | {help} |",
            kind_of(name),
            if labelled { "`kind`" } else { "" }
        )
        .unwrap();
    }
    check("metrics.md", &page);
}

#[test]
fn configuration() {
    let page = format!(
        "{GENERATED}# Configuration\n\nEvery key with its default; a dash where there is none. As environment variable `log.durability` is\n`EMOSTREAM__LOG__DURABILITY`. Bytes and milliseconds are whole numbers.\n{}",
        configuration::tables(&Config::default())
    );
    check("configuration.md", &page);
}
