//! CMX 3600 edit decision list: an event of one second for each moment, with its name in a locator comment, as Avid,
//! Premiere and others read markers.
//!
//! Source and record times are positions on the recording, which begins at 00:00:00:00. Moments of one second share an
//! event and keep a locator each.

use super::{ExportOptions, Placed};

/// The format has three digits for an event's number.
const EVENTS_MAX: usize = 999;

pub(super) fn write(placed: &[Placed<'_>], left_out: &mut usize, options: &ExportOptions) -> String {
    let fps = options.fps;
    let mut events: Vec<(u64, Vec<(u64, &str)>)> = Vec::new();
    for (index, moment) in placed.iter().enumerate() {
        let frame = fps.frame_at(moment.at_ms());
        // Timecode has 24 hours.
        if frame + fps.nominal() >= fps.frames_per_day() {
            *left_out += placed.len() - index;
            break;
        }
        let is_full = events.len() == EVENTS_MAX;
        match events.last_mut() {
            Some((begin, locators)) if frame < *begin + fps.nominal() => {
                locators.push((frame, &moment.title));
            }
            _ if is_full => {
                *left_out += placed.len() - index;
                break;
            }
            _ => events.push((frame, vec![(frame, &moment.title)])),
        }
    }
    let mode = if fps.is_drop_frame() { "DROP FRAME" } else { "NON-DROP FRAME" };
    let mut text = format!("TITLE: {} moments\nFCM: {mode}\n", options.channel);
    if *left_out > 0 {
        text += &format!("* LEFT OUT: {left_out}\n");
    }
    for (number, (frame, locators)) in events.iter().enumerate() {
        let (begin, end) = (fps.timecode(*frame), fps.timecode(frame + fps.nominal()));
        text += &format!("\n{:03}  AX       V     C        {begin} {end} {begin} {end}\n", number + 1);
        for (frame, title) in locators {
            text += &format!("* LOC: {} RED     {title}\n", fps.timecode(*frame));
        }
    }
    text
}
