//! The circuit of a quantised model, and the one linear equation over its columns.
//!
//! What is non-linear (ranges, tables, maxima, divisions) is looked up, or is a gate on one row of the circuit; what is linear
//! (matrix products, convolutions, sums, reshapes) is a system of relations over the circuit's own column commitments. The argument is
//! described in `verifier/docs/protocol.md`.

pub mod committed;
pub mod compiled;
pub mod cost;
mod dense;
pub mod field;
pub mod functional;
pub mod gadgets;
pub mod gate_system;
pub mod halo2;
pub mod length;
pub mod linear_system;
mod lookup_system;
pub mod lookup_tables;
pub mod lower;
pub mod messages;
pub mod node_cost;
pub mod one_hot;
mod outer_products;
mod parallel;
pub mod params;
mod piece_system;
pub mod products;
mod reads;
pub mod registration;
pub mod relation_system;
pub mod relations;
pub mod row_gates;
mod row_values;
pub mod saturation;
pub mod separable;
pub mod shape;
pub mod slots;
pub mod system;
pub mod table_rows;
pub mod weighted;
pub mod witness;
pub mod word_system;
pub mod words;
pub mod work;
