//! Every state that a killed Helm or a person can leave a release in. The table was measured on real API servers.

use plan::Step;
use serde_json::{Value, json};
use tool::helm::Helm;
use tool::{Command, Exit, Output};

use crate::fixtures::bootstrapped;
use crate::golden;

const LOKI: &str = "mgmt/loki";
/// Digests in the labels: what is wanted, and what is not.
const OURS: &str = "00000000000000000000000000000000";
const OTHER: &str = "ffffffffffffffffffffffffffffffff";

/// Rows of revisions and objects as kubectl prints them: number, status, digest, and the number in the label.
fn table(rows: &[(u64, &str, &str, u64)]) -> Output {
    let row = |(number, status, digest, written): &(u64, &str, &str, u64)| {
        format!(
            "monitoring   secret/sh.helm.release.v1.loki.v{number}   helm.sh/release.v1   1   5m   {number}   {status}   \
             loki-18.11.0   {digest}   {written}\n"
        )
    };
    // Another release of another namespace, whose state is none of ours.
    let other =
        "vault   secret/sh.helm.release.v1.vault.v9   helm.sh/release.v1   1   5m   9   pending-upgrade\n".to_owned();
    let object = "monitoring   statefulset.apps/loki   1/1   5m\n".to_owned();
    let stdout = rows.iter().map(row).chain([other, object]).collect();
    Output { stdout, ..Output::of(Exit::Code(0)) }
}

/// The case that an answer chooses, and the first words of its commands.
fn remedy(step: &Step, answer: &Output) -> (&'static str, Vec<String>) {
    let holds = |want: &plan::Expect| {
        want.complete(|_| Some(OURS.to_owned())).expect("known").holds(&step.done_when.ask, answer)
    };
    let words = |command: &Command| {
        let acts = |arg: &&String| ["delete", "rollback", "uninstall", "upgrade"].contains(&arg.as_str());
        command.args.iter().find(acts).map_or("read", String::as_str).to_owned()
    };
    if holds(&step.done_when.want) {
        return ("kept", vec![]);
    }
    let remedy = step.remedies.iter().find(|remedy| holds(&remedy.when));
    let act = remedy.map_or(&step.act, |remedy| &remedy.act);
    (remedy.map_or("-", |remedy| remedy.name), act.iter().map(words).collect())
}

/// Newest revisions, the name of the state, and the repairs with Helm 4 and with Helm 3.
type Row = (&'static [(u64, &'static str, &'static str, u64)], &'static str, &'static str, &'static str);

const STATES: &[Row] = &[
    (&[], "-", "read upgrade", "read upgrade"),
    (&[(1, "deployed", OURS, 1)], "kept", "", ""),
    (&[(1, "deployed", OTHER, 1)], "-", "read upgrade", "read upgrade"),
    // SIGKILL in the first install, also while a hook of it runs.
    (&[(1, "pending-install", OURS, 1)], "pending install", "delete read upgrade", "uninstall read upgrade"),
    // SIGKILL in an upgrade, over one that was deployed and over one that failed.
    (
        &[(4, "deployed", OURS, 4), (5, "pending-upgrade", OURS, 5)],
        "pending upgrade",
        "rollback read upgrade",
        "rollback read upgrade",
    ),
    (
        &[(1, "failed", OURS, 1), (2, "pending-upgrade", OURS, 2)],
        "pending upgrade",
        "rollback read upgrade",
        "rollback read upgrade",
    ),
    // SIGKILL in the repair of that.
    (
        &[(4, "deployed", OURS, 4), (5, "pending-upgrade", OURS, 5), (6, "pending-rollback", OURS, 4)],
        "pending upgrade",
        "rollback read upgrade",
        "rollback read upgrade",
    ),
    // SIGKILL after the rollback, before the upgrade: it looks like a manual one.
    (&[(6, "deployed", OURS, 4)], "changed by hand", "read upgrade", "read upgrade"),
    (&[(3, "uninstalling", OURS, 3)], "half uninstalled", "uninstall read upgrade", "uninstall read upgrade"),
    // SIGTERM, or its time was over.
    (&[(1, "failed", OURS, 1)], "-", "read upgrade", "read upgrade"),
    (&[(1, "failed", OTHER, 1)], "-", "read upgrade", "read upgrade"),
    (&[(4, "deployed", OTHER, 4), (5, "failed", OURS, 5)], "-", "read upgrade", "read upgrade"),
    // The same, and then the values changed: Helm 3 leaves on the objects what the failed one wrote.
    (&[(4, "deployed", OURS, 4), (5, "failed", OTHER, 5)], "-/cancelled", "read upgrade", "rollback read upgrade"),
    // A person's upgrade, rollback, and one that failed; labels are handed on.
    (&[(5, "deployed", OURS, 4)], "changed by hand", "read upgrade", "read upgrade"),
    (
        &[(4, "deployed", OURS, 4), (5, "failed", OURS, 4)],
        "changed by hand/cancelled",
        "read upgrade",
        "rollback read upgrade",
    ),
];

#[test]
fn each_release_state_has_its_repair() {
    for (helm, four) in [(Helm::V4, true), (Helm::V3, false)] {
        let plan = golden::plan("infra/fleet.toml", helm);
        let step = plan.step(LOKI).expect("a step");
        for (rows, names, with_helm_4, with_helm_3) in STATES {
            let name = names.split('/').nth(usize::from(!four)).unwrap_or(names.split('/').next().unwrap_or(names));
            let (case, words) = remedy(step, &table(rows));
            let want = if four { with_helm_4 } else { with_helm_3 };
            assert_eq!((case, words.join(" ").as_str()), (name, *want), "{helm:?} {rows:?}");
        }
    }
}

fn leave(cluster: &mut Value, rows: &[(u64, &str, &str, u64)]) {
    let releases = cluster["releases"].as_array_mut().expect("a list");
    let is_loki = |r: &&Value| r["name"] == "loki";
    let newest = releases.iter().filter(is_loki).max_by_key(|r| r["number"].as_u64()).expect("Loki").clone();
    let ours = newest["labels"]["archipelago/values"].clone();
    releases.retain(|r| r["name"] != "loki");
    for (number, status, digest, written) in rows {
        let mut row = newest.clone();
        row["number"] = json!(number);
        row["status"] = json!(status);
        row["labels"]["archipelago/revision"] = json!(written.to_string());
        row["labels"]["archipelago/values"] = if *digest == OURS { ours.clone() } else { json!(OTHER) };
        if *digest == OTHER {
            row["values"]["nodeSelector"] = json!({ "gone": "yes" });
        }
        if *status == "failed" {
            row["description"] = json!("context canceled");
        }
        releases.push(row);
    }
}

#[test]
fn each_release_state_is_repaired_in_the_simulator() {
    for version in ["4.1.4", "3.18.0"] {
        let repo = bootstrapped();
        // Both choose the same commands for most states; those are run once.
        for (rows, ..) in STATES.iter().filter(|(_, _, four, three)| version.starts_with('4') || four != three) {
            repo.edit_vms(|vms| {
                let cluster = vms["mgmt-cp"].pointer_mut("/guest/control/Made").expect("a cluster");
                leave(cluster, rows);
            });
            repo.edit_json(|stage| stage["machine"]["tools"]["helm"] = json!(version));
            let ran = repo.run("bootstrap --simulate --only mgmt/loki");
            assert_eq!(ran.code, 0, "Helm {version} {rows:?}: {}", ran.err);
            assert!(!ran.err.contains("Retrying"), "Helm {version} {rows:?}: {}", ran.err);
            let again = repo.run("bootstrap --simulate --only mgmt/loki");
            assert!(again.err.contains("nothing to do"), "Helm {version} {rows:?}: {}", again.err);
        }
    }
}
