//! The halo2 circuit of a quantised model, and the linear relations over its columns.
//!
//! What is non-linear (ranges, tables, maxima, divisions) is one halo2 circuit without copy
//! constraints; what is linear (matrix products, convolutions, sums, reshapes) is a system of relations
//! over that circuit's own column commitments. The argument is described in `verifier/docs/protocol.md`.

pub mod circuit;
pub mod committed;
pub mod compiled;
pub mod cost;
mod dense;
pub mod field;
pub mod functional;
pub mod gadgets;
pub mod lower;
pub mod node_cost;
pub mod params;
pub mod planner;
pub mod products;
pub mod registration;
pub mod relations;
pub mod separable;
pub mod shape;
pub mod table_rows;
pub mod weighted;
pub mod witness;
pub mod word_system;
pub mod words;
pub mod work;
