//! Acts of an operator that take more than one row or need judgement, for every way in alike.
//!
//! Values in, values out: nothing here prints, parses a command line, knows HTTP or reads a clock.

pub mod import;
