//! (room)

pub mod config;
pub mod healthcheck;
