//! Any answer of a tool to every kind of want and reading: judged in words of bounded length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plan::Want;
use tool::{Exit, Output, Reading};

fuzz_target!(|input: (i8, &str, &str)| {
    let (code, stdout, stderr) = input;
    let output =
        Output { exit: Exit::Code(i32::from(code)), stdout: stdout.to_owned(), stderr: stderr.to_owned(), cut: false };
    let wants = [
        Want::Stdout("x".into()),
        Want::Lines(vec!["a".into(), String::new()]),
        Want::Match(r"^(\S+)\s".into()),
        Want::Stderr(".".into()),
        Want::Json("/info/a/state".into(), "Running".into()),
        Want::JsonAtLeast("/memory".into(), 5),
        Want::JsonPresent(String::new()),
        Want::Version(String::new(), ">=3.14, <5".into()),
        Want::Version("/v".into(), "*".into()),
        Want::Outside("/networks".into(), vec!["10.0.0.0/8".parse().expect("a network")]),
        Want::Newest("ns/a".into(), r"deployed\s+a=b".into()),
    ];
    for want in &wants {
        assert!(want.explain(&output).len() < 4_000);
        assert_eq!(want.holds(&output), want.explain(&output) == "it is as wanted");
    }
    for from in [Reading::Stdout, Reading::Pointer("/info/a".into()), Reading::Match("^v(.*)$".into())] {
        assert!(from.read(&output).is_none_or(|value| !value.is_empty()));
    }
    let _ = Reading::MatchBase64(r"(-----BEGIN X-----[\s\S]*?-----END X-----)".into()).read(&output);
});
