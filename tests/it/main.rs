//! Behaviour of the real program, named as sentences.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod api_gate;
mod api_inbox;
mod api_nginx;
mod api_people;
mod api_schemathesis;
mod audit_cli;
mod audit_sql;
mod auth_endpoint;
mod cli_certificate;
mod cli_desk;
mod cli_help;
mod cli_inbox;
mod cli_known;
mod cli_mapping;
mod cli_people;
mod cli_reissue;
mod cli_shell;
mod cli_start;
mod config_checks;
mod config_cli;
mod config_listeners;
mod config_load;
mod copy_databases;
mod crl_fetch;
mod crl_outlook;
mod crl_service;
mod dialect_behind;
mod dialect_caddy;
mod dialect_refusal;
mod doctor_checks;
mod doctor_nginx;
mod documents;
mod explain_request;
mod export_nginx;
mod follow_failover;
mod follow_faults;
mod follow_histories;
mod follow_latency;
mod follow_pooler;
mod follow_staleness;
mod follow_unseen;
mod fuzz_regressions;
mod hostile_names;
mod identity_tables;
mod import_files;
mod killed_writes;
mod migrating_django;
mod migrating_map;
mod migrating_page;
mod migrating_password;
mod nginx_config;
mod nginx_databases;
mod nginx_demo;
mod nginx_files;
mod nginx_hostile;
mod nginx_main_job;
mod nginx_sessions;
mod nginx_spoof;
mod nginx_upstream;
mod nginx_values;
mod operating_year;
mod pki_nginx_dn;
mod pkits;
mod rule_serve;
mod rule_store;
mod seen_flood;
mod seen_roles;
mod seen_serve;
mod seen_store;
mod service_start;
mod snapshot_start;
mod spoof_seeds;
mod start_load;
mod store_constraints;
mod store_contract;
mod store_errors;
mod store_feed;
mod store_names;
mod store_property;
mod store_rows;
mod store_session;
mod store_standby;
mod store_users;
mod support;
mod sync_file;
mod trust_chains;
mod usage_required;
