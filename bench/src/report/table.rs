//! The table of all results in Markdown.

use std::fmt::Write;

use super::{Report, Row, number};

const HEAD: &str = "\
# Results of the benchmarks

Made by `make bench`; do not edit. Where a row compares with a bare server or loop, both take turns in one run on the same
core, a server's load runs on another, and the result is the ratio of the medians. Figures called references were not
measured in the run. Only ratios are claims. Absolute numbers are context: they change with the machine and with what
else it does.

| benchmark | what | against | aim | result | met |
|---|---|---|---|---|---|
";

/// The table, then details and a plot for each benchmark.
pub(crate) fn markdown(reports: &[Report]) -> String {
    let mut text = HEAD.to_owned();
    for report in reports {
        for row in &report.rows {
            push(&mut text, &line(report, row));
        }
    }
    for report in reports {
        push(&mut text, &details(report));
    }
    text
}

fn line(report: &Report, row: &Row) -> String {
    let met = match row.met {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "–",
    };
    let aim = if row.aim.is_empty() { "–" } else { &row.aim };
    format!("| {} | {} | {} | {aim} | {} | {met} |\n", report.benchmark, row.what, row.against, row.result)
}

fn details(report: &Report) -> String {
    let mut text = String::new();
    let machine = &report.machine;
    let (quick, changed, busy) = (
        if report.quick { " · **quick run, only to try it out**" } else { "" },
        if machine.changed { " with changes" } else { "" },
        if machine.load_before >= machine.cores as f64 { " (**others kept it busy**)" } else { "" },
    );
    push(
        &mut text,
        &format!(
            "\n## {}\n\n{} · commit {}{changed} · {} cores, {}, Linux {} · load before {}{busy}{quick}\n",
            report.benchmark,
            machine.date,
            machine.commit,
            machine.cores,
            machine.processor,
            machine.kernel,
            number(machine.load_before),
        ),
    );
    push(&mut text, &format!("\n![{}]({}.svg)\n", report.benchmark, report.benchmark));
    for row in &report.rows {
        push(
            &mut text,
            &format!(
                "\n**{}**\n\n| side | median | lowest – highest | runs |\n|---|---|---|---|\n",
                row.what
            ),
        );
        for series in &row.series {
            let lowest = series.runs.iter().copied().fold(f64::INFINITY, f64::min);
            let highest = series.runs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            push(
                &mut text,
                &format!(
                    "| {} | {} {} | {} – {} | {} |\n",
                    series.name,
                    number(series.median),
                    series.unit,
                    number(lowest),
                    number(highest),
                    series.runs.len()
                ),
            );
        }
        for note in &row.notes {
            push(&mut text, &format!("\n{note}\n"));
        }
    }
    text
}

fn push(text: &mut String, more: &str) {
    write!(text, "{more}").expect("writing to a String cannot fail");
}
