//! What a proxy says, turned into what was presented; one small file for each manner of speaking.
//!
//! Pure: no I/O and no clock. A header counts 0 or 1 times; anything else that cannot be read
//! exactly is a deny with a reason, never an absence.

mod fields;
mod memory;
mod percent;
mod reader;
mod verify;

pub use fields::{HeaderNames, Headers};
pub use memory::Memory;
pub use percent::{PercentError, percent_decode_strict};
pub use reader::{Presented, Reader, Shown, Source};
pub use verify::{Failure, VerifyResult};

#[cfg(test)]
mod tests;
