//! Bars of a benchmark's medians as SVG, with a line from the lowest run to the highest.

use super::{Report, Series, number};

const WIDTH: f64 = 760.0;
const NAMES: f64 = 250.0;
const BAR: f64 = 18.0;
const STEP: f64 = 26.0;
const HEADING: f64 = 34.0;
/// Room for the number behind a bar.
const NUMBERS: f64 = 130.0;

/// The plot.
pub(crate) fn svg(report: &Report) -> String {
    let mut body = String::new();
    let mut y = 12.0;
    for row in &report.rows {
        let title = format!("{}: {}", row.what, row.result);
        body.push_str(&text(10.0, y + 14.0, "font-weight=\"bold\"", &title));
        y += HEADING - 8.0;
        for (place, series) in row.series.iter().enumerate() {
            // Sides are only comparable where they have one unit.
            let same = row.series.iter().filter(|other| other.unit == series.unit);
            let longest = same.flat_map(|other| &other.runs).copied().fold(f64::MIN_POSITIVE, f64::max);
            body.push_str(&bar(y, series, longest, place == 0));
            y += STEP;
        }
        y += 10.0;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" height=\"{y}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

fn bar(y: f64, series: &Series, longest: f64, ours: bool) -> String {
    let scale = (WIDTH - NAMES - NUMBERS) / longest;
    let lowest = series.runs.iter().copied().fold(f64::INFINITY, f64::min) * scale;
    let highest = series.runs.iter().copied().fold(0.0, f64::max) * scale;
    let length = (series.median * scale).max(1.0);
    let colour = if ours { "#5b3df5" } else { "#9aa0b5" };
    let middle = y + BAR / 2.0;
    let value = format!("{} {}", number(series.median), series.unit);
    format!(
        "{}<rect x=\"{NAMES}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"3\" fill=\"{colour}\"/>\n\
         <line x1=\"{:.1}\" y1=\"{middle}\" x2=\"{:.1}\" y2=\"{middle}\" stroke=\"#1b1b2f\" stroke-width=\"2\"/>\n{}",
        text(10.0, y + 14.0, "", &series.name),
        NAMES + lowest,
        NAMES + highest,
        text(NAMES + highest.max(length) + 8.0, y + 14.0, "", &value),
    )
}

fn text(x: f64, y: f64, attributes: &str, words: &str) -> String {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"#1b1b2f\" {attributes}>{words}</text>\n")
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn words_are_escaped() {
        assert!(text(0.0, 0.0, "", "a < b & c").contains("a &lt; b &amp; c"));
    }
}
