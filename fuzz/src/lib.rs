//! What every parser promises for any input at all, as one `check` for each fuzz target.
//!
//! A check panics where a promise is broken. The targets in `fuzz_targets/` call these for what
//! libFuzzer invents, and `tests/it/fuzz_regressions.rs` for every kept input. Only public
//! functions of the crate are called.

pub mod certificate;
pub mod config;
pub mod crl;
pub mod dn;
pub mod files;
mod golden;
pub mod header;
mod lines;
pub mod options;
pub mod question;
pub mod rows;
pub mod serial;
pub mod texts;

/// A target's check.
pub type Check = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: &[(&str, Check)] = &[
    ("certificate", certificate::check),
    ("config", config::check),
    ("crl", crl::check),
    ("dn", dn::check),
    ("files", files::check),
    ("header", header::check),
    ("options", options::check),
    ("question", question::check),
    ("rows", rows::check),
    ("serial", serial::check),
    ("texts", texts::check),
];
