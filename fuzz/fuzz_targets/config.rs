#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| certgate::fuzz_logic::config(bytes));
