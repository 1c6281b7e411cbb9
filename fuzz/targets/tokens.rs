//! Any text with tokens in it: each that is found is written back as it stood, and nothing else changes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::token::{self, Token};
use tool::quoted;

fuzz_target!(|text: &str| {
    let same = token::complete(text, |token| {
        Some(match token {
            Token::Fact(name) => token::fact(name),
            Token::Secret(name) => token::secret(name),
            Token::Digest(file) => token::digest(file),
        })
    });
    assert_eq!(same.as_deref(), Ok(text));
    assert_eq!(token::complete(text, |_| None).is_err(), !token::tokens(text).is_empty());
    let _ = quoted(text);
});
