//! Settings: layers, their merge, and where every value came from.

pub mod schema;
