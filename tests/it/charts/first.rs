//! Values of charts are checked before a first bootstrap changes anything.

use super::repository::{LIST, Repository, tools};
use crate::golden::read;
use crate::run_cli;

const SMALL: &str = include_str!("../../fixtures/charts/fleet.toml");

/// Tools that say who they are, and leave a mark if they are asked for anything else. There is no VM, and none is made.
const STAND_INS: &[(&str, &str, &str)] = &[
    ("multipass", "version --format json", r#"{"multipass": "1.16.3", "multipassd": "1.16.3"}"#),
    ("kubectl", "version --client --output json", r#"{"clientVersion": {"gitVersion": "v1.35.2"}}"#),
    ("cilium", "version --client", "cilium-cli: v0.19.7"),
];

#[test]
fn values_are_checked_before_the_first_change() {
    let Some(helm) = tools("helm") else { return };
    if run_cli::find("openssl").is_none() || run_cli::find("curl").is_none() {
        return;
    }
    let here = Repository::new(LIST);
    let _server = here.serve(&helm);
    here.write("infra/fleet.toml", SMALL);
    for (name, question, answer) in STAND_INS {
        let touched = here.root.join("touched");
        here.program(
            name,
            &format!(
                "[ \"$*\" = '{question}' ] && echo '{answer}' && exit; echo \"$0 $*\" >>'{touched}'\n\
                 [ \"$1\" = info ] && echo 'info failed: instance \"x\" does not exist' >&2; exit 2"
            ),
        );
    }
    here.write("charts/tiny/values.yaml", "replica: 2\n");
    let printed = here.ends("bootstrap", 2);
    assert!(printed.contains("Done charts/tiny-0.1.0"), "{printed}");
    assert!(
        printed.contains("error: `replica` is not in the chart of `tiny`\n  --> charts/tiny/values.yaml:1\n"),
        "{printed}"
    );
    assert!(!here.root.join("touched").exists(), "{}", here.read("touched"));
    // With good values the same machine is asked for its first VM.
    here.write("charts/tiny/values.yaml", "replicas: 2\n");
    here.ends("bootstrap --dry-run", 0);
    assert!(here.read("touched").contains("multipass"), "{}", here.read("touched"));
}

#[test]
fn simulator_installs_an_unknown_chart_without_pods() {
    let (_, tiny) = LIST.split_once("# Tiny.\n").expect("the entry");
    let here = Repository::new(&(read("charts/releases.toml") + &tiny.replace("wave = 2", "wave = 9")));
    let printed = here.ends("bootstrap --simulate", 0);
    let expected = "Assuming https://charts.test/tiny is unknown to the simulator: it installs without pods";
    assert!(printed.contains(expected) && printed.contains("Done app1/tiny"), "{printed}");
    assert!(here.ends("bootstrap --simulate", 0).contains("nothing to do"));
    assert!(here.ends("plan bootstrap --full", 0).contains("helm pull tiny"));
}
