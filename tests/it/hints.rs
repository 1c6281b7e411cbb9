//! Commands in hints exist and can be pasted.
#![expect(clippy::disallowed_methods, reason = "writes a fleet of its own")]

use clap::Parser;
use regex::Regex;
use xtask::cli::Cli;

use crate::fixtures::connected;
use crate::golden;
use crate::ui::Repo;

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

/// Whatever is printed for a fleet in a simulation can be pasted as it is.
#[test]
fn printed_commands_name_their_fleet_and_stay_in_the_simulation() {
    let own = |repo: Repo| {
        std::fs::write(repo.root().join("mine.toml"), golden::read("infra/fleet.toml")).expect("written");
        repo
    };
    let (none, whole) = (own(Repo::new()), own(connected()));
    let ill = own(whole.copy());
    ill.edit_vms(|vms| {
        vms["app1-w1"]["power"] = "Stopped".into();
        vms["mgmt-w1"]["guest"]["hosts"]["mgmt-api"] = "10.9.9.9".into();
    });
    let mut seen = 0;
    for (repo, lines) in [
        (
            &none,
            &["status", "doctor", "access", "start", "mesh-connect", "verify-contract --live", "report verify"][..],
        ),
        (&none, &["bootstrap --only no/such", "logs no/such", "logs mgmt/cp/init", "kubeconfig", "bootstrap --seed 3"]),
        (&ill, &["status", "doctor", "status -o json", "doctor -o json", "verify-contract --live", "mesh-connect"]),
        (&whole, &["up", "access", "bootstrap", "start", "upgrade", "destroy --only app2/*", "plan bootstrap", "stop"]),
    ] {
        for line in lines {
            let simulate = if line.starts_with("plan") { "" } else { " --simulate" };
            let ran = repo.run(&format!("{line}{simulate} --fleet mine.toml"));
            for line in format!("{}{}", ran.out, ran.err).lines().filter(|line| line.contains(OURS)) {
                let (commands, named) = (line.matches(OURS).count(), line.matches(" --fleet mine.toml").count());
                assert_eq!(commands, named, "{line}");
                let (_, command) = line.split_once("cargo ").expect("a command");
                let command = command.split(" --fleet").next().unwrap_or_default();
                let simulated = format!("{command} --simulate");
                let lacks = !simulate.is_empty() && Cli::try_parse_from(words(&simulated)).is_ok();
                assert!(!lacks, "{line}");
                seen += commands;
            }
        }
    }
    assert!(seen > 40, "{seen} commands");
}
