//! The only rooms that know HTTP: what each listener answers, and how listeners are opened.
//!
//! Nothing here decides who may come in; that is [`crate::decide`].

pub mod admin;
pub mod auth;
pub mod authorize;
mod denial_log;
pub mod inherited;
pub mod input;
pub mod listener;
pub mod ops;
pub mod output;
mod unix_socket;
