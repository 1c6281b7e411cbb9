//! Any text with tokens in it.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| fuzz::properties::tokens(text));
