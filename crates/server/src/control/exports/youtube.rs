//! Chapters for the description of a video on YouTube, by its rules: the first at 00:00, at least three, ascending, each
//! at least 10 seconds long.
//!
//! Moments closer than that are merged, and the one that a moderator has named, else the strongest, stays. Fewer than three moments are filled up with
//! `Start` and `Afterwards`; without any moment there is one line, which YouTube does not show as chapters.

use super::{Placed, timeline::thinned};

/// Shortest chapter, in seconds.
const CHAPTER_S_MIN: u64 = 10;

/// With fewer chapters than this, YouTube shows none.
const CHAPTERS_MIN: usize = 3;

/// What comes before the first moment.
const BEFORE: &str = "Start";

/// What comes after the last moment, where a chapter is missing.
const AFTER: &str = "Afterwards";

pub(super) fn write(placed: &[Placed<'_>]) -> String {
    let moments = thinned(placed, 1_000, CHAPTER_S_MIN);
    let mut chapters: Vec<(u64, &str)> = Vec::with_capacity(moments.len() + 2);
    let first_s = moments.first().map(|(at_s, _)| *at_s);
    if first_s.is_none_or(|at_s| at_s >= CHAPTER_S_MIN) {
        chapters.push((0, BEFORE));
    }
    for (at_s, moment) in &moments {
        // A first chapter that would begin within the first seconds begins with the video.
        let at_s = if chapters.is_empty() { 0 } else { *at_s };
        chapters.push((at_s, &moment.title));
    }
    while !moments.is_empty() && chapters.len() < CHAPTERS_MIN {
        let last_s = chapters.last().map_or(0, |(at_s, _)| *at_s);
        chapters.push((last_s + CHAPTER_S_MIN, AFTER));
    }
    let mut text = String::new();
    for (at_s, title) in chapters {
        let title = without_brackets(title);
        text += &format!("{} {title}\n", clock(at_s));
    }
    text
}

/// `MM:SS`, and from an hour on `H:MM:SS`.
fn clock(at_s: u64) -> String {
    let (hours, minutes, seconds) = (at_s / 3_600, at_s / 60 % 60, at_s % 60);
    if hours == 0 {
        format!("{minutes:02}:{seconds:02}")
    } else {
        format!("{hours}:{minutes:02}:{seconds:02}")
    }
}

/// YouTube refuses descriptions with angle brackets.
fn without_brackets(title: &str) -> String {
    title.replace('<', "‹").replace('>', "›")
}
