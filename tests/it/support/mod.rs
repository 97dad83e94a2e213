//! What several tests need.

pub(crate) mod certgate;
pub(crate) mod cluster;
pub(crate) mod database;
pub(crate) mod fastcgi;
pub(crate) mod follower;
pub(crate) mod nginx;
pub(crate) mod office;
pub(crate) mod pki;
pub(crate) mod proxies;
pub(crate) mod replay;
pub(crate) mod running;
pub(crate) mod shells;
pub(crate) mod tls;
pub(crate) mod world;
