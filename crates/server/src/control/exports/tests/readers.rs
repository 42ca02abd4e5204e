//! Strict readers of the formats: each panics at whatever its specification does not allow, and at what does not ascend.

use super::FrameRate;

fn assert_line(line: &str) {
    assert!(!line.trim().is_empty() && !line.chars().any(char::is_control), "{line:?}");
}

/// Chapters: seconds and title. The rules of YouTube's help: first at 00:00, ascending, 10 seconds each.
pub(super) fn youtube(text: &str) -> Vec<(u64, String)> {
    assert!(text.ends_with('\n') && !text.contains(['<', '>']));
    let chapters: Vec<(u64, String)> = text[..text.len() - 1]
        .split('\n')
        .map(|line| {
            let (time, title) = line.split_once(' ').unwrap();
            assert_line(title);
            let parts: Vec<&str> = time.split(':').collect();
            assert!((2..=3).contains(&parts.len()), "{time}");
            let padded = parts.iter().skip(parts.len() - 2).all(|part| part.len() == 2);
            let numbers: Vec<u64> = parts.iter().map(|part| part.parse().unwrap()).collect();
            assert!(padded && numbers[1..].iter().all(|number| *number < 60), "{time}");
            (numbers.iter().fold(0, |sum, number| sum * 60 + number), title.to_owned())
        })
        .collect();
    assert_eq!(chapters[0].0, 0);
    assert!(chapters.is_sorted_by(|a, b| a.0 + 10 <= b.0), "{text}");
    chapters
}

/// Cues: start, end and text. W3C WebVTT, section 4: blocks between blank lines.
pub(super) fn webvtt(text: &str) -> Vec<(u64, u64, String)> {
    let mut blocks = text.strip_suffix('\n').unwrap().split("\n\n");
    assert_eq!(blocks.next(), Some("WEBVTT"));
    let mut cues: Vec<(u64, u64, String)> = Vec::new();
    for block in blocks {
        if block.starts_with("NOTE\n") {
            assert!(!block.contains("-->") && cues.is_empty(), "{block}");
            continue;
        }
        let [id, times, text] = block.split('\n').collect::<Vec<_>>()[..] else { panic!("{block:?}") };
        assert!(!id.is_empty() && !id.contains("-->"));
        let (start, end) = times.split_once(" --> ").unwrap();
        let (start, end) = (vtt_time(start), vtt_time(end));
        assert!(start < end, "{times}");
        assert_line(text);
        let rest = text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
        assert!(!rest.contains(['&', '<', '>']), "{text}");
        assert!(cues.last().is_none_or(|last| last.0 <= start), "{times}");
        cues.push((start, end, text.to_owned()));
    }
    cues
}

fn vtt_time(text: &str) -> u64 {
    let (clock, ms) = text.split_once('.').unwrap();
    let parts: Vec<u64> = clock
        .split(':')
        .map(|part| {
            assert!(part.len() >= 2, "{text}");
            part.parse().unwrap()
        })
        .collect();
    assert!(parts.len() == 3 && parts[1] < 60 && parts[2] < 60 && ms.len() == 3, "{text}");
    ((parts[0] * 60 + parts[1]) * 60 + parts[2]) * 1_000 + ms.parse::<u64>().unwrap()
}

/// Locators of each event. SMPTE 258M as CMX 3600 editors wrote it: columns at fixed places, events that do not overlap.
pub(super) fn edl(text: &str, fps: FrameRate) -> Vec<usize> {
    let mut lines = text.lines();
    assert!(lines.next().unwrap().starts_with("TITLE: "));
    let mode = if fps.is_drop_frame() { "FCM: DROP FRAME" } else { "FCM: NON-DROP FRAME" };
    assert_eq!(lines.next(), Some(mode));
    let mut events: Vec<(usize, u64, u64)> = Vec::new();
    for line in lines {
        if let Some(comment) = line.strip_prefix("* ") {
            let Some(locator) = comment.strip_prefix("LOC: ") else { continue };
            let at = frames(&locator[..11], fps);
            assert_eq!(&locator[11..20], " RED     ");
            assert_line(&locator[20..]);
            let event = events.last_mut().unwrap();
            assert!((event.1..event.2).contains(&at), "{line}");
            event.0 += 1;
        } else if !line.is_empty() {
            assert_eq!(line[..3].parse(), Ok(events.len() + 1));
            assert_eq!(&line[3..29], "  AX       V     C        ");
            let times: Vec<u64> = line[29..].split(' ').map(|time| frames(time, fps)).collect();
            assert_eq!((times.len(), &times[..2]), (4, &times[2..]));
            assert_eq!(times[1] - times[0], fps.nominal());
            assert!(events.last().is_none_or(|last| last.2 <= times[0]), "{line}");
            events.push((0, times[0], times[1]));
        }
    }
    events.into_iter().map(|(locators, _, _)| locators).collect()
}

/// The frame of a timecode: the other way round than the writer goes.
fn frames(code: &str, fps: FrameRate) -> u64 {
    assert_eq!(code.len(), 11, "{code}");
    assert_eq!(&code[8..9], if fps.is_drop_frame() { ";" } else { ":" });
    let part = |at: usize| code[at..at + 2].parse::<u64>().unwrap();
    let (hours, minutes, seconds, frame) = (part(0), part(3), part(6), part(9));
    assert!(hours < 24 && minutes < 60 && seconds < 60 && frame < fps.nominal(), "{code}");
    let drop = if fps.is_drop_frame() { fps.nominal() / 15 } else { 0 };
    assert!(seconds > 0 || minutes % 10 == 0 || frame >= drop, "{code} does not exist");
    let all_minutes = hours * 60 + minutes;
    (all_minutes * 60 + seconds) * fps.nominal() + frame - drop * (all_minutes - all_minutes / 10)
}

/// Rows of cells. RFC 4180, and no cell that a spreadsheet would calculate.
pub(super) fn csv(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        let row = rows.last_mut().unwrap();
        let cell = row.last_mut().unwrap();
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.push(chars.next().unwrap()),
            '"' if quoted => {
                quoted = false;
                assert!(matches!(chars.peek(), Some(',' | '\r')), "text behind a quote");
            }
            '"' => {
                assert!(cell.is_empty(), "a quote within a cell");
                quoted = true;
            }
            ',' if !quoted => row.push(String::new()),
            '\r' if !quoted => {
                assert_eq!(chars.next(), Some('\n'));
                rows.push(vec![String::new()]);
            }
            '\n' if !quoted => panic!("a bare line feed"),
            c => cell.push(c),
        }
    }
    assert_eq!(rows.pop(), Some(vec![String::new()]), "the last row ends with a line break");
    assert!(rows.iter().all(|row| row.len() == rows[0].len()));
    let formula = |cell: &String| cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    assert!(!rows.iter().flatten().any(formula), "{text:?}");
    rows
}

/// Chapters: start, end, title. FFmpeg's documentation, "Metadata".
pub(super) fn ffmetadata(text: &str) -> Vec<(u64, u64, String)> {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(";FFMETADATA1"));
    let mut chapters: Vec<(u64, u64, String)> = Vec::new();
    while let Some(line) = lines.next() {
        if line != "[CHAPTER]" {
            assert!(line.is_empty() || line.starts_with(';') || chapters.is_empty(), "{line}");
            continue;
        }
        assert_eq!(lines.next(), Some("TIMEBASE=1/1000"));
        let mut number = |key: &str| lines.next().unwrap().strip_prefix(key).unwrap().parse::<u64>().unwrap();
        let (start, end) = (number("START="), number("END="));
        let title = unescaped(lines.next().unwrap().strip_prefix("title=").unwrap());
        assert_line(&title);
        assert!(start < end && chapters.last().map_or(0, |last| last.1) == start, "{start} {end}");
        chapters.push((start, end, title));
    }
    chapters
}

fn unescaped(value: &str) -> String {
    let mut text = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next().unwrap()),
            '=' | ';' | '#' => panic!("{c} must be escaped: {value}"),
            c => text.push(c),
        }
    }
    text
}
