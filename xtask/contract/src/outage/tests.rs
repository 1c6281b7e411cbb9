//! Every breach that an outage can show, one change to a good outage at a time; a missing answer is never a pass.

use super::*;
use crate::Read;
use tool::Exit;

const DENIED: &str =
    "admission webhook \"vpol.validate.kyverno.svc-fail\" denied the request: Policy image-tags failed";

fn report() -> Report {
    let clause = |name| Clause::named(name).unwrap();
    let read = |name, path: &str, line| Read {
        at: At { file: "infra/x.yaml".into(), line: Some(line) },
        path: path.into(),
        clause: clause(name),
        rule: "x".into(),
    };
    let reads = vec![
        read("C3", "spec.refreshInterval", 3),
        read("C3", "spec.target.deletionPolicy", 4),
        read("C5", "tunnelProtocol", 5),
    ];
    Report { reads, ..Report::default() }
}

fn status(ways: &[&str]) -> String {
    let agent = |(n, way): (usize, &&str)| {
        format!(r#""cilium-{n}":{{"routing":{{"inter-host-routing-mode":"Tunnel","tunnel-protocol":"{way}"}}}}"#)
    };
    format!(r#"{{"cilium_status":{{{}}}}}"#, ways.iter().enumerate().map(agent).collect::<Vec<_>>().join(","))
}

fn metrics(written: u64, sent: u64, started: u64) -> String {
    format!(
        "# HELP x y\nprometheus_agent_samples_appended_total{{type=\"float\"}} {written}\n\
         prometheus_remote_storage_samples_total{{remote_name=\"a\"}} {}\n\
         prometheus_remote_storage_samples_retried_total{{remote_name=\"a\"}} 240\n\
         process_start_time_seconds {started}\n",
        sent + 240
    )
}

fn output(code: i32, text: impl Into<String>) -> Output {
    let text = text.into();
    let (stdout, stderr) = if code == 0 { (text, String::new()) } else { (String::new(), text) };
    Output { stdout, stderr, ..Output::of(Exit::Code(code)) }
}

fn snapshot(requests: &str, (written, sent): (u64, u64)) -> ClusterSnapshot {
    let answers = [
        ("secret", output(0, "uid 4001")),
        ("store", output(0, "2026-11-23T02:49:28Z True")),
        ("agents", output(0, status(&["vxlan", "vxlan"]))),
        ("refused", output(1, DENIED)),
        ("metrics", output(0, metrics(written, sent, 100))),
        ("workload", output(0, "uid 1")),
        ("requests", output(0, requests)),
    ];
    ClusterSnapshot(answers.into_iter().map(|(what, output)| (what.to_owned(), output)).collect())
}

impl ClusterSnapshot {
    fn set(&mut self, what: &str, text: impl Into<String>) {
        self.0.insert(what.to_owned(), output(0, text));
    }

    fn replace(&mut self, what: &str, from: &str, to: &str) {
        let text = self.text(what).unwrap().replace(from, to);
        self.set(what, text);
    }
}

fn count(scrapes: u64) -> String {
    format!(r#"{{"data":{{"result":[{{"value":[1,"{scrapes}"]}}]}}}}"#)
}

/// Ten minutes, in lines of a quarter of a minute.
fn good() -> App {
    let line = |n: u64| format!("{} local 15 0 1\n{} mesh 15 0 1\n", 1000 + 15 * n, 1000 + 15 * n);
    let log: String = (0..=40).map(line).collect();
    App {
        name: "app1".into(),
        nodes: 2,
        linked: true,
        before: snapshot(&line(0), (8000, 8000)),
        during: snapshot(&log, (16000, 8000)),
        after: snapshot(&log, (17600, 17600)),
        counts: ClusterSnapshot([("count".to_owned(), output(0, count(12)))].into()),
        times: [("caught-up".to_owned(), Duration::from_secs(90))].into(),
        failed: vec![],
    }
}

fn observed(app: App) -> Observed {
    Observed { apps: vec![app], clock: clock(), mesh: Ok(Duration::from_secs(60)) }
}

fn clock() -> Clock {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    Clock { outage: minutes(10), answered: minutes(1), green: None, window: minutes(12), interval: minutes(1) }
}

fn found(change: impl FnOnce(&mut App)) -> Vec<String> {
    let mut app = good();
    change(&mut app);
    let measured = judge(&observed(app), &report());
    measured.findings.into_iter().map(|f| format!("{}: {}", f.rule, f.got)).collect()
}

fn failed(app: &mut App, step: &str) {
    app.failed.push((step.into(), "exit 1: never".into()));
}

#[test]
fn a_good_outage_has_figures_and_no_breach() {
    assert_eq!(found(|_| {}), [""; 0]);
    let measured = judge(&observed(good()), &report());
    let text: Vec<String> = measured.measurements.iter().map(|m| format!("{}: {}", m.name, m.text)).collect();
    let want = [
        "app1 local: 600 requests, 0 failed, longest gap 1s",
        "app1 mesh: 600 requests, 0 failed, longest gap 1s",
        "app1 samples: 9600 written, 9600 sent, 8000 queued; 12 of 12 scrapes in Thanos; caught up in 1m 30s",
    ];
    assert_eq!(text, want);
    assert_eq!(unready(&[good()], &report()), []);
}

#[test]
fn each_breach_is_found_by_its_rule_alone() {
    type Change = fn(&mut App);
    let cases: [(&str, Change); 21] = [
        ("c1.served: 15 of 600 requests failed, 1 s without an answer", |a| {
            a.after.replace("requests", "1150 local 15 0", "1150 local 15 15");
        }),
        ("c1.served: 0 of 600 requests failed, 30 s without an answer", |a| {
            a.after.replace("requests", "1150 mesh 15 0 1", "1150 mesh 15 0 30");
        }),
        ("c1.replaced: it was not: exit 1: never", |a| failed(a, "sample-pod-replaced")),
        ("c1.replaced: it was not: exit 1: never", |a| failed(a, "cilium-agent-replaced")),
        ("c1.canary: the probe logged nothing during the outage", |a| a.after.set("requests", "1000 local 15 0 1")),
        ("c1.untouched: from generation 1 to 2", |a| a.after.set("workload", "uid 2")),
        ("c1.untouched: it is gone", |a| drop(a.during.0.remove("workload"))),
        ("c2.counted: its metrics cannot be read after the outage", |a| drop(a.after.0.remove("metrics"))),
        ("c2.counted: its metrics cannot be read after the outage", |a| a.after.set("metrics", "nonsense 1")),
        ("c2.sent: 1600 of 9600 samples were", |a| a.after.set("metrics", metrics(17600, 9600, 100))),
        ("c2.restart: agent restarted; its queued samples were lost", |a| {
            a.after.set("metrics", metrics(1600, 1600, 700));
        }),
        ("c2.caught-up: they are not: exit 1: never", |a| failed(a, "caught-up")),
        ("c2.kept: 8 of 12 scrapes are missing", |a| a.counts.set("count", count(4))),
        ("c2.kept: Thanos does not report how many it holds", |a| a.counts.0.clear()),
        ("c3.kept: it is gone", |a| drop(a.during.0.remove("secret"))),
        ("c3.kept: it was changed", |a| a.during.set("secret", "uid 4002")),
        ("c3.mounted: it does not: exit 1: never", |a| failed(a, "late-runs")),
        ("c3.fresh: it was not: exit 1: never", |a| failed(a, "refreshed")),
        ("c4.enforced: it is admitted", |a| a.during.set("refused", "")),
        ("c4.enforced: no answer", |a| drop(a.after.0.remove("refused"))),
        ("c5.tunnelled: 1 of 2 agents", |a| a.during.set("agents", status(&["vxlan"]))),
    ];
    for (want, change) in cases {
        // A log without lines lacks both ways.
        let found = found(change);
        let both = want.contains("nothing");
        assert!(found[0] == want && (found.len() == 1 || both), "{want}: {found:?}");
    }
}

#[test]
fn a_refusal_of_another_kind_proves_nothing() {
    let down = "failed calling webhook \"vpol\": no endpoints available for service \"kyverno-svc\"";
    let found = found(|a| drop(a.during.0.insert("refused".into(), output(1, down))));
    assert_eq!(found, [format!("c4.enforced: another answer: {down}")]);
}

#[test]
fn a_probe_that_restarted_counts_nothing() {
    let found = found(|a| a.after.set("requests", "1300 local 15 0 1\n1300 mesh 15 0 1"));
    assert!(found.len() == 2 && found[0].starts_with("c1.canary: the probe restarted"), "{found:?}");
}

#[test]
fn unmet_preconditions_are_named_with_their_line() {
    let mut app = good();
    app.before.set("store", "2026-11-23T02:49:28Z False");
    app.before.set("agents", status(&["vxlan", "geneve"]));
    app.before.0.remove("metrics");
    let found = unready(&[app], &report());
    let told: Vec<String> = found.iter().map(|f| format!("{} {}", f.rule, f.at)).collect();
    assert_eq!(told[1..], ["c3.fresh infra/x.yaml:3", "c5.tunnelled infra/x.yaml:5"]);
    assert_eq!(told[0], "c2.counted adr/0006-observability-agents.md");
}

#[test]
fn one_workload_cluster_has_no_one_to_ask() {
    let found = found(|a| {
        a.linked = false;
        a.after.replace("requests", "mesh 15 0", "mesh 15 15");
    });
    assert_eq!(found, [""; 0]);
}
