//! Text for people, safe in a page.

use crate::jobs::UnixMillis;
use std::{fmt::Write, time::Duration};

/// Text that shows as itself, in elements and in attributes in double quotes. Control characters and those that turn the direction of text show as a mark.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control()
                || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                escaped.push('\u{fffd}');
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// The beginning of a text that is too long.
pub(super) fn shorten(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(limit.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// A number with its thousands apart.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}

/// A duration in its largest units.
pub(super) fn duration(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
        seconds => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A number of bytes.
#[allow(clippy::cast_precision_loss)]
pub(super) fn bytes(count: u64) -> String {
    match count {
        u64::MAX => "no limit".into(),
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}

/// The time of day.
pub(super) fn clock(time: UnixMillis) -> String {
    let seconds = time.0.div_euclid(1000).rem_euclid(86_400);
    let mut text = String::new();
    let _ = write!(text, "{:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        assert_eq!(
            escape("<a href=\"x\" b='&'>\u{1b}\u{202e}é"),
            "&lt;a href=&quot;x&quot; b=&#39;&amp;&#39;&gt;\u{fffd}\u{fffd}é"
        );
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1\u{2009}000", "1\u{2009}234\u{2009}567"]);
        let seconds = [5, 119, 120, 7199, 7260, 180_000];
        let texts = ["5 s", "119 s", "2 min", "119 min", "2 h 01 min", "2 d 2 h"];
        assert_eq!(seconds.map(|s| duration(Duration::from_secs(s))), texts);
        assert_eq!(clock(UnixMillis(86_400_000 + 3_661_500)), "01:01:01 UTC");
        assert_eq!(shorten("abc", 3), "abc");
        assert_eq!(shorten("abcd", 3), "ab…");
        assert_eq!([10, 2_500_000, u64::MAX].map(bytes), ["10 B", "2.5 MB", "no limit"]);
    }
}
