//! certgate tells nginx, on every request, whose client certificate this is.
//!
//! Layout, in the direction in which dependencies point:
//! * [`pki`]: the vocabulary of the RFCs: serials, names, certificates, fingerprints; pure.
//! * [`directory`]: users, groups, mappings and blocks in memory, and the index over them; no I/O.
//! * [`proxy`]: what each proxy says, turned into what was presented; pure.
//! * [`reason`]: the codes of the contract.
//! * [`revocation`]: whose chains are trusted, and what is revoked; read from files.
//! * [`decide`]: the decision, a pure function; read it first.
//! * [`exchange`]: files that come in and go out: JSON, CSV, certificates, LDIF; pure.
//! * [`explain`]: why a certificate or a request is answered as it is; values in, a value out.
//! * [`doctor`]: what is wrong with nginx's configuration; text in, findings out.
//! * [`store`]: all the SQL, for PostgreSQL and SQLite.
//! * [`operator`]: what operators do that takes judgement; the command line and the API call it.
//! * [`sync`]: keeps the directory equal to the store.
//! * [`seen`]: what was seen, on its way to the store in batches.
//! * [`http`]: the only rooms that know HTTP: the auth, ops and admin listeners.
//! * [`metrics`]: what is counted; a leaf that anybody may use.
//! * [`config`], [`telemetry`], [`cli`], [`app`]: what an operator says, and the wiring.

pub mod app;
pub mod cli;
pub mod config;
pub mod decide;
pub mod directory;
pub mod doctor;
pub mod exchange;
pub mod explain;
pub mod http;
pub mod metrics;
pub mod operator;
pub mod pki;
pub mod proxy;
pub mod reason;
pub mod revocation;
pub mod seen;
pub mod store;
pub mod sync;
pub mod telemetry;
