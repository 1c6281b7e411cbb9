//! The live tier in the simulator: it holds, and each breach is found by its clause.

use std::collections::BTreeSet;

use contract::{RenderedState, live};
use plan::{Plan, check, text};
use serde_json::{Value, json};
use sim::Condition;
use tool::{Exit, Output};

use super::mutants;
use crate::ui::Repo;
use crate::{fixtures, golden};

pub fn plan(fleet: &str) -> Plan {
    let (fleet, releases) = golden::load(fleet);
    let data = golden::data();
    let files = render::files(&fleet, &releases, &data).unwrap_or_else(|p| panic!("{p:#?}"));
    let state = RenderedState::gather(&fleet, &releases, &data, &files).unwrap_or_else(|p| panic!("{p:#?}"));
    let clusters: Vec<String> = fleet.clusters.iter().map(|c| c.name.clone()).collect();
    live::plan(&fleet, &clusters, &state)
}

#[test]
fn live_probes_are_valid_and_read_only() {
    for fleet in ["infra/fleet.toml", "tests/fleets/one.toml", "tests/fleets/wide.toml"] {
        let plan = plan(fleet);
        assert_eq!(check::check(&plan), Vec::<String>::new(), "{fleet}");
        assert!(plan.steps.iter().all(|s| s.act.is_empty() && !s.done_when.ask.mutates), "{fleet}");
    }
}

/// The contract holds on the whole fleet; each breach is found by its clause, and by no other.
#[test]
fn every_clause_holds_live_and_catches_each_breach() {
    let repo = fixtures::connected();
    let state = repo.state();
    let good = repo.run("verify-contract --simulate --live");
    assert_eq!(good.code, 0, "{}{}", good.out, good.err);
    assert!(good.out.contains("5 of 5 clauses hold"), "{}", good.out);
    let (mut all, mut missed) = (0, Vec::new());
    for (clause, mutants) in mutants::all() {
        all += mutants.live.len();
        assert!(!mutants.live.is_empty(), "{clause} has no live mutant");
        for mutant in mutants.live {
            repo.set_state(&state);
            repo.edit_stage(|s| {
                mutant.condition.into_iter().for_each(|condition| s.inject(&mutant.cluster, condition));
                let objects = model::yaml::foreign("objects", &mutant.objects).expect("YAML");
                objects.iter().for_each(|object| s.put(&mutant.cluster, &object.value));
            });
            let ran = repo.run("verify-contract --simulate --live");
            let alone = format!("the contract is broken: {clause} with ");
            if ran.code != 1 || !mutant.expect.iter().chain([&alone]).all(|words| ran.out.contains(words)) {
                let (name, expect) = (mutant.name, mutant.expect);
                missed.push(format!("{name}: {expect:?}, and {clause} alone, exit {}\n{}", ran.code, ran.out));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    assert!(all >= 24, "{all} live mutants");
}

/// Whichever chart ships logs, what it runs with is judged.
#[test]
fn each_log_shipper_is_judged_live() {
    for (chart, title, index, places) in [
        (
            "alloy",
            "Alloy",
            "grafana.github.io",
            [("/alloy/configMap/content", "endpoint {\n}\n"), ("/alloy/storagePath", "/tmp/alloy")],
        ),
        (
            "fluent-bit",
            "Fluent Bit",
            "fluent.github.io",
            [("/config/outputs", "[OUTPUT]\n"), ("/config/inputs", "DB /tmp/tail.db\n")],
        ),
    ] {
        let mutants = mutants::all().next().expect("C1").1.data;
        let name = format!("{title} in the place of Promtail");
        let one = mutants.into_iter().find(|mutant| mutant.name == name).expect("a mutant");
        let grafana = "name = \"promtail\"\nchart = \"promtail\"\nrepository = \"https://grafana.github.io";
        let list = [one.file.clone(), grafana.to_owned(), grafana.replace("grafana.github.io", index)];
        let changes: Vec<[String; 3]> = [list, [one.file, one.from, one.to]].into_iter().chain(one.and).collect();
        let repo = Repo::new();
        repo.change_charts(&changes);
        repo.must("bootstrap --simulate -q");
        repo.must("mesh-connect --simulate -q");
        let state = repo.state();
        let good = repo.run("verify-contract --simulate --live C1");
        assert_eq!(good.code, 0, "{chart}: {}{}", good.out, good.err);
        for ((pointer, value), words) in places.into_iter().zip(["lines pushed until it succeeds", "no lasting path"]) {
            repo.set_state(&state);
            let (release, pointer, value) = ("promtail".to_owned(), pointer.to_owned(), json!(value));
            repo.edit_stage(|s| s.inject("app1", Condition::RunsWith { release, pointer, value }));
            let ran = repo.run("verify-contract --simulate --live C1");
            let named = format!("{chart} on app1 (c1.logs)");
            assert!(ran.code == 1 && ran.out.contains(&named) && ran.out.contains(words), "{chart}: {}", ran.out);
        }
    }
}

/// A cluster that does not answer is named, breaks nothing, and is no pass; the others are judged.
#[test]
fn unreachable_cluster_is_neither_a_pass_nor_a_breach() {
    let repo = fixtures::connected();
    repo.edit_stage(|s| s.power_off_vm("mgmt-cp"));
    let ran = repo.run("verify-contract --simulate --live");
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.contains("? mgmt did not answer (c5)\n      at    mgmt/live/api: "), "{}", ran.out);
    assert!(ran.out.contains("no verdict on C1, C4 and C5: questions without an answer"), "{}", ran.out);
    assert!(ran.out.contains("12 of 12 on app1, 12 of 12 on app2"), "{}", ran.out);
    assert!(ran.out.contains("2 of 2 Secrets exist"), "kept through the outage: {}", ran.out);
    assert!(!ran.out.contains("  x "), "{}", ran.out);
    let excused = "verify-contract --simulate --live --allow C1 --allow C4 --allow C5 --because outage";
    let ran = repo.run(excused);
    assert!(ran.code == 0 && ran.out.contains("excused because outage"), "{}", ran.out);
    let ran = repo.run("verify-contract --simulate --live C2 C5 --cluster app1,app2");
    assert!(ran.code == 0 && ran.out.contains("2 of 2 clauses hold"), "{}", ran.out);
    let ran = repo.run("verify-contract --simulate --live --cluster app3");
    assert!(ran.code == 2 && ran.err.contains("the fleet has no cluster `app3`"), "{}", ran.err);
}

#[test]
fn live_check_without_clusters_names_the_commands() {
    let repo = Repo::new();
    let ran = repo.run("verify-contract --simulate --live");
    assert_eq!(ran.code, 3, "{}", ran.err);
    let fix = "cargo xtask bootstrap --simulate && cargo xtask mesh-connect --simulate";
    assert!(ran.err.contains("no running clusters to ask: mgmt, app1, app2") && ran.err.contains(fix));
    let ran = repo.run("verify-contract --live");
    assert!(ran.code == 3 && ran.err.contains("cargo xtask bootstrap && cargo xtask mesh-connect"), "{}", ran.err);
    for wrong in ["verify-contract --cluster app1", "verify-contract --static --live", "verify-contract --dry-run"] {
        assert_eq!(repo.run(wrong).code, 2, "{wrong}");
    }
    let ran = repo.run("verify-contract --static --explain C2");
    assert!(ran.code == 0 && ran.out.contains("loss is all-or-nothing"), "{}", ran.out);
    let ran = repo.run("verify-contract --live --dry-run --cluster mgmt");
    assert!(ran.code == 0 && ran.out.contains("mgmt/live/mgmt-cp/cilium ") && !ran.out.contains("app1"), "{}", ran.out);
}

/// A fleet that was never connected: the finding is about the secret store, the fix is the missing command.
#[test]
fn unconnected_fleet_gets_the_hint_to_connect() {
    let ran = fixtures::bootstrapped().run("verify-contract --simulate --live C3");
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.contains("ClusterSecretStore/vault on app1 (c3.store)"), "{}", ran.out);
    assert!(ran.out.contains("hint  cargo xtask mesh-connect"), "{}", ran.out);
}

#[expect(clippy::disallowed_methods, reason = "reads and changes what a run wrote")]
fn edit(path: &camino::Utf8Path, change: impl FnOnce(String) -> String) -> String {
    let text = std::fs::read_to_string(path).expect("a file");
    std::fs::write(path, change(text.clone())).expect("a file");
    text
}

/// The report holds every answer, and is judged again from them.
#[test]
fn live_report_is_verified_from_its_outputs() {
    let repo = fixtures::connected();
    repo.edit_stage(|s| s.inject("app1", Condition::AgentKilled("OOMKilled".into())));
    let ran = repo.run("--format json verify-contract --simulate --live --junit junit.xml");
    assert_eq!(ran.code, 1, "{}", ran.err);
    let lines: Vec<Value> = ran.out.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(
        (&lines[0]["tier"], &lines[1]["tier"], &lines[1]["holds"]),
        (&json!("static"), &json!("live"), &json!(false))
    );
    assert_eq!(lines[1]["clauses"][1]["findings"][0]["rule"], "c2.restarts");
    let xml = edit(&repo.root().join("junit.xml"), |text| text);
    assert!(xml.contains("tests=\"10\" failures=\"1\"") && xml.contains("classname=\"contract.live\""), "{xml}");
    let reports = repo.root().join("out/simulation/reports");
    let name =
        reports.read_dir_utf8().expect("a folder").next().expect("a report").expect("an entry").path().to_owned();
    let report: Value = serde_json::from_str(&edit(&name.join("report.json"), |text| text)).expect("JSON");
    for tool in ["helm", "kubectl", "cilium", "multipass", "API server of app1"] {
        assert!(report["tools"][tool].as_str().is_some_and(|v| v.contains('.')), "{tool}: {}", report["tools"]);
    }
    for digest in ["plan", "fleet", "questions"] {
        assert_eq!(report["digests"][digest].as_str().map(str::len), Some(64), "{digest}");
    }
    let page = edit(&name.join("report.html"), |text| text);
    assert!(page.contains("<th>live</th>") && page.contains("last by OOMKilled"), "{page}");
    for secret in repo.root().join("out/simulation/secrets").read_dir_utf8().expect("a folder") {
        let secret = edit(secret.expect("an entry").path(), |text| text);
        let log = edit(&name.join("answers.jsonl"), |text| text);
        assert!(!log.contains(secret.trim()), "a secret in the log of answers");
    }
    let verify = || repo.run("report verify --simulate");
    assert!(verify().code == 0 && verify().err.contains("Verified"), "{}", verify().err);
    let sums = edit(&name.join("SHA256SUMS"), |text| text);
    assert!(sums.lines().any(|l| l.ends_with("  answers.jsonl")), "{sums}");
    edit(&name.join("answers.jsonl"), |text| text.replace("OOMKilled", "Completed"));
    let ran = verify();
    assert!(ran.code == 1 && ran.err.contains("report was modified (digest mismatch)"), "{}", ran.err);
    assert!(ran.err.contains("re-evaluating C2 differs from the report (live tier)"), "{}", ran.err);
}

/// The API server's clock may be read hours before or behind what is compared with it.
#[test]
fn ages_count_from_the_time_of_each_answer() {
    let repo = fixtures::connected();
    repo.must("verify-contract --simulate --live");
    let reports = repo.root().join("out/simulation/reports");
    let name =
        reports.read_dir_utf8().expect("a folder").next().expect("a report").expect("an entry").path().to_owned();
    let whole = edit(&name.join("answers.jsonl"), |text| text);
    for (later, differs) in [(7200.0, false), (0.0, true)] {
        let line = |line: &str| {
            let mut line: Value = serde_json::from_str(line).expect("JSON");
            if line["question"] == "app1/live/good-pod" {
                line["at"] = json!(line["at"].as_f64().expect("a time") + later);
                let pod = line["answer"]["stdout"].as_str().expect("a pod");
                let mut pod: Value = serde_json::from_str(pod).expect("JSON");
                let made = pod["metadata"]["creationTimestamp"].as_str().expect("a time");
                let made = model::units::parse_utc(made).expect("a time") + 7200;
                pod["metadata"]["creationTimestamp"] = json!(model::units::format_utc(made));
                line["answer"]["stdout"] = json!(pod.to_string());
            }
            format!("{line}\n")
        };
        edit(&name.join("answers.jsonl"), |_| whole.lines().map(line).collect());
        let ran = repo.run("report verify --simulate");
        assert_eq!(ran.err.contains("re-evaluating C3 differs"), differs, "{}", ran.err);
    }
}

/// The fields of a JSON value by path, each with its kind; what lists hold is told once.
fn shape(value: &Value, path: &str, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) if !map.is_empty() => map.iter().for_each(|(k, v)| shape(v, &format!("{path}/{k}"), out)),
        Value::Array(list) if !list.is_empty() => list.iter().for_each(|v| shape(v, &format!("{path}/*"), out)),
        Value::Object(_) => drop(out.insert(format!("{path}  {{}}"))),
        Value::Array(_) => drop(out.insert(format!("{path}  []"))),
        Value::String(_) => drop(out.insert(format!("{path}  text"))),
        Value::Number(_) => drop(out.insert(format!("{path}  number"))),
        Value::Bool(_) => drop(out.insert(format!("{path}  switch"))),
        Value::Null => drop(out.insert(format!("{path}  null"))),
    }
}

/// Every question with its exact arguments, and the shape of the answer that is expected to it: fields for JSON, the
/// first words of a line for the rest. Times and sizes are left to the judges' own tests.
#[test]
fn every_live_probe_and_the_shape_of_its_output() {
    let mut seen = BTreeSet::new();
    golden::snapshot("live", "verify-contract.plan", &text::print(&plan("infra/fleet.toml")), &mut seen);
    let repo = fixtures::connected();
    repo.run("verify-contract --simulate --live");
    let reports = repo.root().join("out/simulation/reports");
    let name =
        reports.read_dir_utf8().expect("a folder").next().expect("a report").expect("an entry").path().to_owned();
    let log = edit(&name.join("answers.jsonl"), |text| text);
    let mut out = String::new();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let question = line["question"].as_str().expect("a question");
        // The second app cluster answers like the first, and a second node like the first.
        if question.starts_with("app2/") || question.contains("-w1/") {
            continue;
        }
        let answer: Output = serde_json::from_value(line["answer"].clone()).expect("an answer");
        out.push_str(&format!("{question}\n  $ {}\n", line["command"].as_str().expect("a command")));
        match serde_json::from_str::<Value>(&answer.stdout) {
            Ok(value) if value.is_object() => {
                let mut fields = BTreeSet::new();
                shape(&value, "", &mut fields);
                fields.iter().for_each(|field| out.push_str(&format!("    {field}\n")));
            }
            _ if answer.exit == Exit::Code(0) => {
                let words =
                    answer.stdout.lines().filter_map(|l| l.split(['{', ' ', '\t']).next()).filter(|w| !w.is_empty());
                let words: BTreeSet<&str> = words.filter(|w| !w.starts_with(|c: char| c.is_ascii_digit())).collect();
                words.iter().for_each(|word| out.push_str(&format!("    {word} ...\n")));
            }
            _ => out.push_str(&format!("    {:?}: {}\n", answer.exit, answer.stderr.trim())),
        }
    }
    golden::snapshot("live", "answers", &out, &mut seen);
}
