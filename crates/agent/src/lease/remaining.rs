//! Time as people see it: how much is left, not when it ends.

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// How far the node's clock and this one may be apart before it is told, in seconds.
pub(super) const SKEW: i64 = 60;

/// A time of a lease text.
pub(super) fn parse(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .filter(|time| time.offset().is_utc())
}

/// Seconds from `now` to `deadline` by this machine's clock.
fn left(deadline: OffsetDateTime, now: OffsetDateTime) -> Option<u64> {
    u64::try_from((deadline - now).whole_seconds())
        .ok()
        .filter(|seconds| *seconds > 0)
}

/// How far two times are apart, for people.
pub(super) fn apart(seconds: i64) -> String {
    let by = duration(seconds.unsigned_abs());
    if seconds < 0 {
        format!("{by} earlier")
    } else {
        format!("{by} later")
    }
}

/// One line about the time that is left, by this machine's clock and, where it differs, by the node's.
pub(super) fn line(deadline: OffsetDateTime, now: OffsetDateTime, by_node: u64) -> String {
    let here = left(deadline, now);
    let mut text = match here {
        Some(seconds) => format!("{} from now", duration(seconds)),
        None => "IS OVER by this machine's clock".to_owned(),
    };
    if here.unwrap_or(0).abs_diff(by_node) > SKEW.unsigned_abs() {
        text.push_str(&format!(
            "; the node says {}: one of the two clocks is wrong",
            duration(by_node)
        ));
    }
    text
}

/// `45 s`, `12 min`, `1 h 59 min`, `3 d 4 h`.
#[must_use]
pub fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let with = |main: u64, unit: &str, rest: u64, small: &str| {
        if rest == 0 {
            format!("{main} {unit}")
        } else {
            format!("{main} {unit} {rest} {small}")
        }
    };
    if seconds < 120 {
        format!("{seconds} s")
    } else if minutes < 60 {
        format!("{minutes} min")
    } else if hours < 48 {
        with(hours, "h", minutes % 60, "min")
    } else {
        with(days, "d", hours % 24, "h")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_how_long_it_lasts() {
        for (seconds, text) in [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "1 h 59 min"),
            (7_200, "2 h"),
            (172_800, "2 d"),
            (187_200, "2 d 4 h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn clocks_that_differ_are_told() {
        let deadline = parse("2026-11-21T14:00:00Z").unwrap();
        let now = parse("2026-11-21T12:00:00Z").unwrap();
        assert_eq!(line(deadline, now, 7_170), "2 h from now");
        assert!(line(deadline, now, 600).contains("the node says 10 min"));
        assert!(line(now, deadline, 7_200).contains("IS OVER"));
        assert!(parse("2026-11-21T14:00:00+02:00").is_none());
    }
}
