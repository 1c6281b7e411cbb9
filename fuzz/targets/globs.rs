//! Any text behind `--only`, `--skip` and `--until`.
#![no_main]

libfuzzer_sys::fuzz_target!(|globs: (&str, &str, &str)| {
    let list = |glob: &str| if glob.is_empty() { vec![] } else { vec![glob.to_owned()] };
    fuzz::properties::globs(&fuzz::PLAN, list(globs.0), list(globs.1), list(globs.2));
});
