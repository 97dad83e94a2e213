//! Behaviour of the real program, named as sentences.

mod nginx_demo;
mod nginx_files;
mod nginx_main_job;
mod nginx_sessions;
mod nginx_spoof;
mod nginx_values;
mod support;
