//! Every cilium and helm command line of a mesh against the tools' own help (`tests/fixtures/flags`).

use std::collections::BTreeMap;

use tool::cilium::Cilium;
use tool::helm::Helm;
use tool::{Command, Tool};

use super::whole;
use crate::golden;

/// Names of flags by command; `*` is every command. A name that ends in `=` takes no value of its own.
struct Known(BTreeMap<String, Vec<String>>);

impl Known {
    fn read(file: &str) -> Self {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let text = golden::read(&format!("tests/fixtures/flags/{file}"));
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (command, flags) = line.split_once(": ").expect("a command and its flags");
            all.entry(command.to_owned()).or_default().extend(flags.split(' ').map(str::to_owned));
        }
        Known(all)
    }

    fn wrong(&self, args: &[String]) -> Vec<String> {
        let two = args.get(..2).map(|words| words.join(" ")).filter(|name| self.0.contains_key(name));
        let (name, skip) = two.map_or((args[0].clone(), 1), |name| (name, 2));
        let Some(own) = self.0.get(&name) else { return vec![format!("an unknown command: {name}")] };
        let find = |flag: &str| own.iter().chain(&self.0["*"]).find(|known| known.trim_end_matches('=') == flag);
        let mut wrong = Vec::new();
        let mut rest = args[skip..].iter();
        while let Some(arg) = rest.next() {
            let Some((flag, value)) = arg.split_once('=').map(|(f, v)| (f, Some(v))).or(Some((arg.as_str(), None)))
            else {
                continue;
            };
            if !arg.starts_with("--") {
                continue;
            }
            match find(flag) {
                None => wrong.push(format!("an unknown flag: {flag}")),
                Some(known) if !known.ends_with('=') && value.is_none() && rest.next().is_none() => {
                    wrong.push(format!("a flag without its value: {flag}"));
                }
                Some(_) => {}
            }
        }
        wrong
    }
}

/// Commands of a plan, and those that belong to none: `--full` and what a failure leaves.
fn commands(helm: Helm) -> Vec<Command> {
    let cilium = Cilium::with("x");
    let mut all = vec![cilium.connectivity("a", "b", "out/x"), cilium.sysdump("a", "out/x")];
    for plan in [whole("infra/fleet.toml", helm), golden::plan("infra/fleet.toml", helm)] {
        all.extend(golden::commands(&plan).cloned());
    }
    all
}

#[test]
fn every_flag_is_accepted_by_its_tool() {
    let cilium = Known::read("cilium-cli-0.19.7.txt");
    for (helm, file) in [(Helm::V3, "helm-3.18.0.txt"), (Helm::V4, "helm-4.1.4.txt")] {
        let helms = Known::read(file);
        let mut count = BTreeMap::new();
        for command in commands(helm) {
            let known = match command.tool {
                Tool::Cilium => &cilium,
                Tool::Helm => &helms,
                _ => continue,
            };
            assert_eq!(known.wrong(&command.args), [""; 0], "{command}");
            // With JSON it exits 0 when its time is over.
            assert!(command.tool == Tool::Helm || !command.args.iter().any(|a| a.starts_with("--wait")), "{command}");
            *count.entry(format!("{:?}", command.tool)).or_insert(0) += 1;
        }
        assert!(count["Cilium"] > 10 && count["Helm"] > 20, "{count:?}");
    }
}

#[test]
fn flag_of_another_command_is_found() {
    let known = Known::read("cilium-cli-0.19.7.txt");
    let wrong = |line: &str| known.wrong(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(wrong("clustermesh status --context a --output json"), [""; 0]);
    assert_eq!(wrong("clustermesh status --interactive=false"), ["an unknown flag: --interactive"]);
    assert_eq!(wrong("clustermesh enable"), ["an unknown command: clustermesh"]);
    assert_eq!(wrong("sysdump --quick --output-filename"), ["a flag without its value: --output-filename"]);
}
