//! Behaviour of the real program, named as sentences.

mod support;
