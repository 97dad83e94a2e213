//! What several tests need.

pub mod certgate;
pub mod fastcgi;
pub mod nginx;
pub mod pki;
pub mod tls;
pub mod world;
