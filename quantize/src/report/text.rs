//! The report for people.

use super::{AccuracyReport, OutputReport, TensorReport};
use std::fmt;

/// With more nodes than this, only the worst are shown…
const MOST: usize = 48;
/// …so many of them.
const WORST: usize = 24;

impl AccuracyReport {
    /// The nodes that lose most to saturation, the worst first.
    #[must_use]
    pub fn most_saturated(&self) -> Vec<&TensorReport> {
        let mut list: Vec<&TensorReport> = self.tensors.iter().filter(|t| t.saturated > 0).collect();
        list.sort_by(|a, b| b.saturated_share.total_cmp(&a.saturated_share));
        list
    }

    /// The nodes to show, in order: all, or those with the lowest SQNR.
    fn shown(&self) -> Vec<&TensorReport> {
        if self.tensors.len() <= MOST {
            return self.tensors.iter().collect();
        }
        let mut worst: Vec<(usize, &TensorReport)> = self.tensors.iter().enumerate().collect();
        worst.sort_by(|a, b| {
            let sqnr = |t: &TensorReport| t.sqnr_db.unwrap_or(f64::INFINITY);
            sqnr(a.1)
                .total_cmp(&sqnr(b.1))
                .then(b.1.saturated_share.total_cmp(&a.1.saturated_share))
                .then(a.0.cmp(&b.0))
        });
        worst.truncate(WORST);
        worst.sort_by_key(|(i, _)| *i);
        worst.into_iter().map(|(_, t)| t).collect()
    }
}

fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.00005 {
        return "< 0.01 %".into();
    }
    format!("{:.2} %", 100.0 * share)
}

/// A name cut at the front: its end tells more.
fn cut(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    std::iter::once('…').chain(text.chars().skip(length - width + 1)).collect()
}

impl fmt::Display for AccuracyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} samples, {} input values clamped", self.samples, self.clamped_inputs)?;
        writeln!(
            f,
            "{:32} {:>9} {:>5} {:>19} {:>15} {:>9} {:>8} {:>8}",
            "node", "elements", "shift", "static", "seen", "saturated", "headroom", "SQNR"
        )?;
        let shown = self.shown();
        for t in &shown {
            let sqnr = t.sqnr_db.map_or("-".into(), |v| format!("{v:.1} dB"));
            let (range, seen) = (format!("{}..{}", t.static_lo, t.static_hi), format!("{}..{}", t.seen_lo, t.seen_hi));
            let saturated = if t.saturated == 0 { "0".into() } else { percent(t.saturated_share) };
            writeln!(
                f,
                "{:32} {:>9} {:>5} {:>19} {:>15} {:>9} {:>8.1} {:>8}",
                cut(&t.name, 32),
                t.form_elements,
                t.shift,
                range,
                seen,
                saturated,
                t.headroom_bits,
                sqnr
            )?;
        }
        if shown.len() < self.tensors.len() {
            writeln!(f, "… the worst {} of {} nodes; --report writes all", shown.len(), self.tensors.len())?;
        }
        let saturated = self.most_saturated();
        if !saturated.is_empty() {
            let worst = saturated.iter().take(3).map(|t| format!("{} {}", t.name, percent(t.saturated_share)));
            writeln!(f, "saturation in {} nodes, most in {}", saturated.len(), worst.collect::<Vec<_>>().join(", "))?;
        }
        self.outputs.iter().try_for_each(|o| o.fmt_line(f, self.samples))
    }
}

impl OutputReport {
    fn fmt_line(&self, f: &mut fmt::Formatter<'_>, samples: usize) -> fmt::Result {
        write!(f, "output {}: ", self.name)?;
        if self.integer {
            let share = percent(self.top1_agreement);
            return writeln!(
                f,
                "integers, equal in {share} of samples ({} of {samples} differ)",
                self.argmax_disagreements
            );
        }
        let (lo, hi, mean) = (self.float_lo, self.float_hi, self.mean_error);
        write!(f, "range {lo:.4}..{hi:.4}, max error {:.3e} ", self.max_error)?;
        let share = match 100.0 * self.error_share {
            percent if percent > 0.0 && percent < 0.001 => format!("{percent:.1e}"),
            percent => format!("{percent:.4}"),
        };
        write!(f, "({share} % of the range), mean error {mean:.3e}")?;
        if self.elements > 1 {
            write!(f, ", top-1 agreement {} ({} differ", percent(self.top1_agreement), self.argmax_disagreements)?;
            let ties = if self.ties == 1 { "tie" } else { "ties" };
            write!(f, ", {} {ties})", self.ties)?;
        }
        if let Some(share) = self.top5_agreement {
            write!(f, ", top-5 agreement {}", percent(share))?;
        }
        if self.float_lo < 0.0 && self.float_hi > 0.0 {
            write!(f, ", sign agreement {} ({} differ)", percent(self.sign_agreement), self.sign_disagreements)?;
        }
        if let Some(correlation) = self.rank_correlation {
            write!(f, ", rank correlation {correlation:.5}")?;
        }
        writeln!(f)
    }
}
