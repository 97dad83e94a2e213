//! Files that come in and go out: what other programs write, as values of ours, and ours as theirs.
//!
//! Layout:
//! * [`Feed`]: everything that was read, each part with the place it stands at;
//! * [`json`], [`sheet`]: users, mappings and blocks as certgate itself writes them;
//! * [`certificates`]: PEM, DER and PKCS #7; [`openssl`]: the `index.txt` of a CA; [`ldif`]: what a
//!   directory server exports;
//! * [`nginx_map`]: the way out, for the day on which certgate itself is down.
//!
//! This room is pure: it must not open a file, ask a database or read a clock. What it cannot read
//! it names; it leaves nothing out in silence, and nothing it returns has been granted yet.

pub mod certificates;
mod check;
mod feed;
pub mod json;
pub mod ldif;
pub mod nginx_map;
pub mod openssl;
mod security_identity;
pub mod sheet;
#[cfg(test)]
mod tests;

pub use check::{MAX_FILE_BYTES, MAX_ITEMS};
pub use feed::{Ban, Claim, Feed, Meant, Person, Place, Placed, Refused, Whose};
