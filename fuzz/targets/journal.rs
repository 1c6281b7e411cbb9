//! Any bytes as a journal, before and behind good lines: these are read, whatever stands around them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plan::journal::{self, Entry};

fuzz_target!(|bytes: &[u8]| {
    let fact = |name: &str| journal::line(&Entry::Fact { name: name.into(), value: "10.0.0.1".into() });
    let mut all = fact("first").into_bytes();
    all.extend(bytes);
    all.extend(format!("\n{}", fact("last")).as_bytes());
    let read = journal::read(&String::from_utf8_lossy(&all));
    assert!(read.facts.contains_key("first") && read.facts.contains_key("last"));
});
