//! `emostream moments try`: what it reads, what it prints, and what it says about what it cannot read.

use std::{fmt::Write, fs, path::Path};

use serde_json::Value;

use crate::harness::process::run;

/// Runs the command on a text: exit code, moments, errors.
fn attempt(dir: &Path, input: &[u8], rule: &str) -> (i32, Vec<Value>, String) {
    let file = dir.join("counts.csv");
    fs::write(&file, input).unwrap();
    let output = run(&["moments", "try", "--input", file.to_str().unwrap(), "--rule", rule]);
    let text = String::from_utf8(output.stdout).unwrap();
    let moments = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code().unwrap(), moments, String::from_utf8(output.stderr).unwrap())
}

/// Ten minutes of 4 a bin, and 60 a bin from bin 200 on, for ten bins; as bins of so many seconds.
fn burst(seconds: usize, users: Option<u64>) -> String {
    let mut text = String::from(if users.is_some() { "reactors,count,time\n" } else { "time,count\n" });
    for bin in 0..300 {
        let (time, count) = (1_700_000_000 + bin * seconds, if (200..210).contains(&bin) { 60 } else { 4 });
        let _infallible = match users {
            Some(users) => writeln!(text, "{},{count},{time}", users.min(count)),
            None => writeln!(text, "{time},{count}"),
        };
    }
    text
}

fn starts(moments: &[Value]) -> Vec<&str> {
    moments.iter().map(|moment| moment["window_start"].as_str().unwrap()).collect()
}

#[test]
fn a_burst_is_found_whatever_the_bins_and_the_spelling() {
    let dir = tempfile::tempdir().unwrap();
    let (code, expected, errors) = attempt(dir.path(), burst(2, None).as_bytes(), "normal");
    assert_eq!((code, errors.as_str(), expected.len()), (0, "", 1), "{expected:?}");
    let moment = &expected[0];
    assert_eq!(
        (&moment["emote"], &moment["window_ms"], &moment["count"]),
        (&"all".into(), &2_000.into(), &60.into())
    );
    assert!(moment["strength"].as_f64().unwrap() >= 3.5, "{moment}");
    assert!(
        starts(&expected)[0] >= "2023-11-14T22:20:00.000Z"
            && starts(&expected)[0] < "2023-11-14T22:20:20.000Z"
    );
    let text = burst(2, None);
    let mut rows: Vec<&str> = text.lines().collect();
    rows[1..].reverse();
    let spellings = [
        format!("\u{feff}{}", text.replace('\n', "\r\n")),
        rows.join("\n"),
        text.replace("time,count", "Time, COUNT").replace(",4\n", ",\"4\" \n"),
        text.replace(",60", ",30").replace("time,count\n", &format!("time,count\n{}", double(&text))),
        text.lines().map(|line| line.replace(",4", "000,4").replace(",60", "000,60") + "\n").collect(),
    ];
    for spelling in spellings {
        let (code, moments, errors) = attempt(dir.path(), spelling.as_bytes(), "normal");
        assert_eq!((code, moments, errors.as_str()), (0, expected.clone(), ""), "{}", &spelling[..60]);
    }
    for seconds in [1, 10, 60] {
        let (_, moments, _) = attempt(dir.path(), burst(seconds, None).as_bytes(), "normal");
        assert_eq!(moments.first().map(|moment| moment["window_ms"].clone()), Some((seconds * 1_000).into()));
    }
}

/// The second half of each count of the burst, as further rows.
fn double(text: &str) -> String {
    text.lines().filter(|line| line.ends_with(",60")).map(|line| line.replace(",60", ",30") + "\n").collect()
}

#[test]
fn three_users_make_no_moment_and_many_do() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(attempt(dir.path(), burst(2, Some(3)).as_bytes(), "easy").1.len(), 0);
    assert_eq!(attempt(dir.path(), burst(2, Some(40)).as_bytes(), "normal").1.len(), 1);
}

#[test]
fn emotes_have_their_own_course_and_rules_come_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::from("time,emote,count\n");
    for bin in 0..300 {
        let time = 1_700_000_000 + bin * 2;
        let goal = if bin == 200 { 80 } else { 1 };
        let _infallible = write!(text, "{time},\"👏, loud\",5\n{time},⚽,{goal}\n");
    }
    let (_, moments, _) = attempt(dir.path(), text.as_bytes(), "normal");
    assert_eq!(moments.iter().map(|moment| &moment["emote"]).collect::<Vec<_>>(), [&Value::from("⚽")]);
    let file = |name: &str, rule: &str| {
        fs::write(dir.path().join(name), rule).unwrap();
        dir.path().join(name).to_str().unwrap().to_owned()
    };
    let silent = file("rule.json", r#"{"kind":"full","preset":"hard","floor":1000}"#);
    assert_eq!(attempt(dir.path(), text.as_bytes(), &silent).1.len(), 0);
    let plain = file("rule.toml", "kind = \"plain\"\nthreshold = 79.0\ninterval = 1\n");
    let (_, moments, _) = attempt(dir.path(), text.as_bytes(), &plain);
    assert_eq!((moments.len(), &moments[0]["count"]), (1, &80.into()));
    let wrong = file("wrong.json", r#"{"kind":"full","floor":0}"#);
    let (code, _, errors) = attempt(dir.path(), text.as_bytes(), &wrong);
    assert_eq!(code, 2);
    assert!(errors.contains("rule.floor: expected a whole number"), "{errors}");
    let (code, _, errors) = attempt(dir.path(), text.as_bytes(), "medium");
    assert_eq!(code, 2);
    assert!(errors.contains("expected a preset (easy, normal, hard) or a file"), "{errors}");
}

#[test]
fn what_cannot_be_read_is_said_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [(&[u8], &str); 9] = [
        (
            b"time,number\n1,2\n",
            "line 1, column 1: expected a first line that names the columns, one of them `count`",
        ),
        (b"time,count\n1,2\n2,many\n", "line 3, column 2: expected a number from 0 to"),
        (b"count,time\n1,2\n1,yesterday\n", "line 3, column 2: expected an RFC 3339 time"),
        (b"time,count\n1,-2\n", "line 2, column 2: expected a number from 0 to"),
        (b"time,count\n1\n", "line 2, column 2: expected a value"),
        (b"time,emote,count\n1,\xff,3\n", "line 2, column 2: expected UTF-8"),
        (b"", "line 1, column 1: expected a first line that names the columns, one of them `time`"),
        (b"time;count\n1;2\n", "one of them `time`; got \"time;count\", separated by commas"),
        (b"time,count\n1e300,2\n", "line 2, column 1: expected a time between the years 0 and 9999"),
    ];
    for (input, expected) in cases {
        let (code, moments, errors) = attempt(dir.path(), input, "normal");
        assert_eq!((code, moments.len()), (1, 0));
        assert!(errors.contains(expected), "{errors}\nexpected {expected}");
    }
    for input in [&b"time,count\n"[..], b"time,count\n2026-04-06T10:32:11+02:00,2.5\n"] {
        assert_eq!(attempt(dir.path(), input, "normal"), (0, Vec::new(), String::new()));
    }
    let missing = run(&["moments", "try", "--input", "no-such-file.csv"]);
    assert_eq!(missing.status.code(), Some(1));
}
