//! Many inferences of one model, proven into one folder: what `zkonnx batch` does.
//!
//! Items come from a [`Source`], are proven in groups ([`Group`]) by workers with a pool of threads each ([`Run`]), verified together, and end as
//! files in an [`OutputFolder`] and as lines of a [`Summary`]. A folder that was written before is gone on with: what is there, decodes, is of this model and of the
//! same inputs and context, and verifies, is not proven again. Nothing else is kept: there is no state but the proofs.

mod context;
mod error;
mod group;
mod keys;
mod lines;
mod memory;
mod output;
mod run;
mod source;
mod summary;

pub use context::job_id;
pub use error::{BatchError, ItemError};
pub use group::{Group, Inference, Member, Proven};
pub use keys::{largest_group, predict_group, Keys, KeysBySize};
pub use memory::available as available_memory;
pub use output::OutputFolder;
pub use run::{plan, Plan, Run};
pub use source::{Loaded, Source};
pub use summary::{GroupReport, Item, Status, Summary, Totals, SUMMARY};
