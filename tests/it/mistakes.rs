//! Mistakes at the command line and in files, each with all that is printed. Those in a fleet are in `tests/fleets/wrong`.
#![expect(clippy::disallowed_methods, reason = "writes wrong files into a repository of its own")]

use crate::golden;
use crate::ui::{Repo, settings};

/// Command lines; `a => b` behind one is an edit of the fleet.
const LINES: &str = "\
boostrap
bootstrap --onyl app1
bootstrap --only ap1/*
bootstrap --only mgmt/nodez
mesh-connect --cluster ap1,app2
fleet check --fleet own.toml | memory = \"10G\" => memory = \"10\"
fleet check --fleet own.toml | memory = \"10G\" => memory = \"10 G\"
fleet check --fleet own.toml | memory = \"10G\" => memory = \"10gi\"
fleet check --fleet own.toml | memory = \"10G\" => memory = 10240
fleet check --fleet own.toml | memory = \"10G\" => memory = \"-1G\"
fleet check --fleet own.toml | pod_cidr = \"10.100.0.0/16\" => pod_cidr = \"10.100.0/16\"
fleet check --fleet own.toml | pod_cidr = \"10.100.0.0/16\" => pod_cidr = \"10.100.0.0/33\"
fleet check --fleet own.toml | pod_cidr = \"10.100.0.0/16\" => pod_cidr = \"fd00::/48\"
fleet check --fleet own.toml | pod_cidr = \"10.100.0.0/16\" => pod_cidr = \"10.100.5.0/16\"
fleet check --fleet own.toml | kubernetes = \"1.35.7\" => kubernetes = \"latest\"
fleet check --fleet own.toml | kubernetes = \"1.35.7\" => kubernetes = \"v1.35\"
fleet check --fleet own.toml | kubernetes = \"1.35.7\" => kubernetes = \"1.40.0\"
fleet check --fleet own.toml | image = \"24.04\" => image = \"core24\"
fleet check --fleet own.toml | id = 2 => id = 256
fleet check --fleet own.toml | id = 2 => id = 1
fleet check --fleet own.toml | pod_cidr = \"10.101 => pod_cird = \"10.101
fleet check --fleet empty.toml
fleet check --fleet nowhere.toml
fleet check --fleet folder
fleet check --fleet dangling.toml
fleet check --fleet latin1.toml
fleet check --fleet huge.toml
fleet check --fleet bom.toml
fleet use 8g
verify-contract C9
verify-contract --allow C3
bootstrap --skip * --simulate
bootstrap --jobs 0
bootstrap --simulate --seed x
bootstrap --seed 3
simulate --seeds 9..1
simulate --fault 17:boom
status --format yaml
destroy --simulate
kubeconfig --simulate
logs app1/cp/innit --simulate
access grafna --simulate
explain deletionPolcy
plan bootstrap --diff no-such-commit
charts bump graphana
report verify --simulate
";

#[test]
fn mistakes_are_answered_with_what_to_do() {
    let repo = Repo::new();
    let (fleet, write) = (golden::read("infra/fleet.toml"), |name: &str, bytes: &[u8]| {
        std::fs::write(repo.root().join(name), bytes).expect("written");
    });
    write("empty.toml", b"");
    write("latin1.toml", b"# caf\xe9\n");
    write("huge.toml", &vec![b'#'; 50 << 20]);
    write("bom.toml", format!("\u{feff}{}", fleet.replace('\n', "\r\n")).as_bytes());
    std::fs::create_dir(repo.root().join("folder")).expect("a folder");
    std::os::unix::fs::symlink("nowhere", repo.root().join("dangling.toml")).expect("a link");
    let mut all = String::new();
    for row in LINES.lines() {
        let (line, edit) = row.split_once(" | ").unwrap_or((row, ""));
        if let Some((from, to)) = edit.split_once(" => ") {
            assert!(fleet.contains(from), "{from}");
            write("own.toml", fleet.replacen(from, to, 1).as_bytes());
        }
        let ran = repo.run(line);
        let wrong = ran.code != 0;
        let text = format!("{}{}", ran.err, if wrong { &ran.out } else { "" });
        assert!(!text.contains("panicked") && !text.contains("bug:"), "{row}: {text}");
        all += &format!("$ {row}\n{}[exit {}]\n\n", text.replace(repo.root().as_str(), "<root>"), ran.code);
    }
    settings().bind(|| insta::assert_snapshot!("mistakes", all));
}
