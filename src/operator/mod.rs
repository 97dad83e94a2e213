//! Acts of operators that take more than one row, or judgement: the command line and the API call
//! the same functions.
//!
//! Values in, values out, within a transaction that the caller commits; a dry run drops it. Nothing
//! here prints, or reads a command line, a request or a clock.

pub mod import;
mod undo;

pub use undo::{UndoError, Undone, undo};
