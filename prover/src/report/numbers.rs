//! Numbers for people.

/// A count, with a letter for thousands where it is large.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub(super) fn count(value: usize) -> String {
    match value {
        0..10_000 => value.to_string(),
        10_000..1_000_000 => format!("{:.0} k", value as f64 / 1e3),
        1_000_000..10_000_000 => format!("{:.1} M", value as f64 / 1e6),
        _ => format!("{:.0} M", value as f64 / 1e6),
    }
}

/// A number of bytes.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub(super) fn bytes(value: usize) -> String {
    match value {
        0..1_000 => format!("{value} B"),
        1_000..1_000_000 => format!("{:.1} kB", value as f64 / 1e3),
        _ => format!("{:.1} MB", value as f64 / 1e6),
    }
}

/// A time.
#[must_use]
pub(super) fn seconds(value: f64) -> String {
    match value {
        v if v >= 1.0 => format!("{v:.2} s"),
        v if v >= 0.1 => format!("{:.0} ms", v * 1e3),
        v if v >= 0.001 => format!("{:.1} ms", v * 1e3),
        v if v > 0.0 => format!("{:.0} µs", v * 1e6),
        _ => "0".into(),
    }
}

/// A share, in percent.
#[must_use]
pub(super) fn percent(share: f64) -> String {
    match 100.0 * share {
        0.0 => "0".into(),
        p if p > 0.0 && p < 0.01 => "< 0.01 %".into(),
        p if p < 10.0 => format!("{p:.2} %"),
        p => format!("{p:.0} %"),
    }
}

/// A shape.
#[must_use]
pub(super) fn shape(sizes: &[u32]) -> String {
    if sizes.is_empty() {
        return "scalar".into();
    }
    sizes.iter().map(u32::to_string).collect::<Vec<_>>().join("×")
}

/// A real number with few digits.
#[must_use]
pub(super) fn real(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        0.01..10_000.0 => {
            let text = format!("{value:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{value:.2e}"),
    }
}
