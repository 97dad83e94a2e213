//! (room)

mod decisions;
pub mod inherited;
pub mod listener;
pub mod metrics;
pub mod ops;
mod unix_socket;
