//! Commands in hints exist and can be pasted.

use clap::Parser;
use regex::Regex;
use xtask::cli::Cli;

use crate::golden;

const OURS: &str = "cargo xtask ";
/// Placeholder for a name of a command, a step or a file.
const ANY: &str = "bootstrap";

/// Text that begins with a command of ours, with the line that it is in. Tests of a module come last in its file.
fn texts(source: &str) -> Vec<(usize, String)> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let literal = Regex::new(r#""(cargo xtask (?:[^"\\]|\\.)+)""#).expect("a pattern");
    let found = literal.captures_iter(source).map(|found| {
        let text = found[1].replace("\\\"", "\"");
        (source[..found.get(0).expect("all of it").start()].lines().count(), text)
    });
    found.collect()
}

/// The words of one command as a shell splits them, without what a shell would do with them.
fn words(line: &str) -> Vec<String> {
    let filled = Regex::new(r"\{\w*\}").expect("a pattern").replace_all(line, ANY);
    let word = Regex::new(r#"'[^']*'|"[^"]*"|\S+"#).expect("a pattern");
    word.find_iter(&filled).map(|word| word.as_str().trim_matches(['\'', '"']).to_owned()).collect()
}

fn commands(text: &str) -> Vec<Vec<String>> {
    let typed = text.replace("{flag}", "");
    let typed = typed.split("   #").next().unwrap_or_default();
    let typed = typed.split(" >> ").next().unwrap_or_default();
    typed.split(" && ").map(words).collect()
}

#[test]
fn hinted_commands_exist() {
    let mut seen = 0;
    for path in golden::files_below(&golden::root().join("xtask/src")) {
        let file = path.strip_prefix(golden::root()).expect("below").to_str().expect("UTF-8");
        for (line, text) in texts(&golden::read(file)).into_iter().filter(|(_, text)| text.len() > OURS.len()) {
            for words in commands(&text) {
                assert_eq!(words[..2], ["cargo", "xtask"], "{file}:{line}: {text}");
                let parsed = Cli::try_parse_from(&words[1..]);
                assert!(parsed.is_ok(), "{file}:{line}: `{text}` cannot be pasted: {:?}", parsed.err());
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen} commands");
}

#[test]
fn remark_is_not_part_of_the_command() {
    let [command] = &commands("cargo xtask bootstrap --only '{}/*'   # makes it, and \"more\"")[..] else {
        panic!("one command")
    };
    assert_eq!(command.join(" "), "cargo xtask bootstrap --only bootstrap/*");
    assert!(Cli::try_parse_from(words("xtask bootstrap makes what is not there")).is_err());
}
