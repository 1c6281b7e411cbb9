//! Any output of a tool for every kind of expectation and extractor.
#![no_main]

use tool::{Exit, Output};

libfuzzer_sys::fuzz_target!(|input: (i8, String, String)| {
    let (code, stdout, stderr) = input;
    fuzz::properties::output(&Output { stdout, stderr, exit: Exit::Code(code.into()), cut: false });
});
