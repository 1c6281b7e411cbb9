//! Any text as `infra/fleet.toml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| drop(fuzz::properties::fleet(text, &fuzz::KNOWN)));
