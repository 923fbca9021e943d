//! ONNX's own operator cases: imported, quantised, evaluated in integers, and compared with what ONNX expects.
//!
//! `tests/onnx_cases/dump.py` writes the cases of the PyPI package `onnx` to a directory ([`index`]). Each is imported with
//! as many true inputs as the importer takes ([`bind`]), quantised to 16 bits with its own input as the only sample,
//! evaluated on the integers and compared ([`run()`]). What comes of it is the table of `docs/operators.md` ([`table`]).

pub mod bind;
pub mod index;
mod panics;
pub mod run;
pub mod table;

pub use index::{Case, Index};
pub use run::{run, run_all, Outcome, Report, Stage};
