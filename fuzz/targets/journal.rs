//! Any bytes as a journal, around good lines.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: (&[u8], &[u8], &[u8])| fuzz::properties::journal(bytes.0, bytes.1, bytes.2));
