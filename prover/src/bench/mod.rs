//! Measuring: every stage of proving and verifying, for one choice of settings or many, and comparing what was measured.
//!
//! Every proof that is timed is verified. A [`Report`] has what is needed to repeat it: the machine, the program, and for every measurement
//! the settings, the circuit and the spread.

pub mod batch;
pub mod compare;
pub mod environment;
pub mod fit;
pub mod measure;
pub mod memory;
pub mod report;
pub mod stages;
pub mod statistics;

pub use batch::BatchTimes;
pub use compare::{Comparison, Verdict};
pub use environment::Environment;
pub use fit::{fit, Fit, FitError};
pub use measure::{measure, measure_with_spans, BenchError, Setup, Spans};
pub use report::{Measurement, Report, Settings, REPORT_FORMAT};
pub use statistics::Spread;
