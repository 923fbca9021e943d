//! The description of the service for machines.

/// An OpenAPI 3.1 document. A test compares it with [`super::ROUTES`].
pub const DOCUMENT: &str = include_str!("openapi.json");
