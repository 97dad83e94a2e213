//! Behaviour of the real program, named as sentences.

mod pki_nginx_dn;
mod support;
