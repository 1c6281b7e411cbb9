//! Any text as `charts/releases.toml`, for the default fleet.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| fuzz::properties::releases(text, &fuzz::FLEET));
