//! Behaviour of the real program, named as sentences.

mod config_checks;
mod config_cli;
mod config_load;
mod pki_nginx_dn;
mod support;
