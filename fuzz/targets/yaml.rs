//! Any text as a values file, and as YAML of a tool.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| fuzz::properties::yaml(text));
