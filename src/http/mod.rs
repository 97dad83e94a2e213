//! (room)

pub mod listener;
pub mod metrics;
pub mod ops;
