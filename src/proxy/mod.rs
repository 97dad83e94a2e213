//! What a proxy says, turned into what was presented; one small file for each manner of speaking.
//!
//! Pure: no I/O and no clock. A header counts 0 or 1 times; anything else that cannot be read
//! exactly is a deny with a reason, never an absence.

mod apache;
mod caddy;
mod dialect;
mod fields;
mod haproxy;
mod memory;
mod nginx;
#[cfg(test)]
mod nginx_tests;
mod percent;
mod reader;
mod rfc9440;
mod sent;
mod shown;
#[cfg(test)]
mod tests;
mod traefik;
mod verify;

pub use dialect::Dialect;
pub use fields::{HeaderNames, Headers};
pub use memory::Memory;
pub use percent::{PercentError, percent_decode_strict};
pub use reader::{ChainsBy, Reader, Source};
pub use shown::{Presented, Shown};
pub use verify::{Failure, VerifyResult};
