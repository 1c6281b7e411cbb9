//! One answer to every question of `status`, `doctor` and the mesh.
#![no_main]

use tool::{Exit, Output};

libfuzzer_sys::fuzz_target!(|input: (bool, String)| {
    let (ok, stdout) = input;
    let output = Output { stdout, ..Output::of(Exit::Code(i32::from(!ok))) };
    fuzz::properties::answers(&fuzz::FLEET, &fuzz::RELEASES, &fuzz::PLAN, &output);
});
