//! (room)

pub mod inherited;
pub mod listener;
pub mod metrics;
pub mod ops;
