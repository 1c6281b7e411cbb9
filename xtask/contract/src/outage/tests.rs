//! Every breach that an outage can show, one change to a good outage at a time; and what is missing is never a pass.
//! Knows nothing of who asked.

use super::*;
use crate::{Read, Verdict};

const DENIED: &str = "admission webhook \"vpol\" denied the request: Policy image-tags failed";

fn report() -> Report {
    let read = |clause, path: &str, line| Read {
        at: At { file: "infra/x.yaml".into(), line: Some(line) },
        path: path.into(),
        clause,
        rule: "x".into(),
    };
    let reads = vec![
        read(Clause::C3, "spec.refreshInterval", 3),
        read(Clause::C3, "spec.target.deletionPolicy", 4),
        read(Clause::C5, "tunnelProtocol", 5),
    ];
    Report { verdicts: Vec::<Verdict>::new(), references: vec![], reads, rendering: None }
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

fn look(requests: &str, (written, sent): (u64, u64)) -> Said {
    Said {
        secret: Some("uid 4001".into()),
        store: Some("2026-11-23T02:49:28Z True".into()),
        agents: Some(status(&["vxlan", "vxlan"])),
        offered: Some((false, DENIED.into())),
        metrics: Some(metrics(written, sent, 100)),
        workload: Some("uid 1".into()),
        requests: Some(requests.into()),
    }
}

/// Ten minutes, in lines of a quarter of a minute.
fn good() -> App {
    let line = |n: u64| format!("{} local 15 0 1\n{} mesh 15 0 1\n", 1000 + 15 * n, 1000 + 15 * n);
    let log: String = (0..=40).map(line).collect();
    App {
        name: "app1".into(),
        nodes: 2,
        linked: true,
        before: look(&line(0), (8000, 8000)),
        during: look(&log, (16000, 8000)),
        after: look(&log, (17600, 17600)),
        scrapes: Some(12),
        caught_up: Some(Duration::from_secs(90)),
        failed: vec![],
    }
}

fn clock() -> Clock {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    Clock { outage: minutes(10), answered: minutes(1), green: None, window: minutes(12), interval: minutes(1) }
}

fn found(change: impl FnOnce(&mut App)) -> Vec<String> {
    let mut app = good();
    change(&mut app);
    let measured = judge(&[app], clock(), &report());
    measured.findings.into_iter().map(|f| format!("{}: {}", f.rule, f.got)).collect()
}

fn failed(app: &mut App, step: &str) {
    app.failed.push((step.into(), "exit 1: never".into()));
}

#[test]
fn a_good_outage_has_figures_and_no_breach() {
    assert_eq!(found(|_| {}), [""; 0]);
    let measured = judge(&[good()], clock(), &report());
    assert_eq!(measured.ways.iter().map(Way::requests).collect::<Vec<_>>(), [(600, 0), (600, 0)]);
    let samples = &measured.samples[0];
    assert_eq!((samples.written, samples.sent, samples.waiting), (9600, 9600, 8000));
    assert_eq!(unready(&[good()], &report()), []);
}

#[test]
fn each_breach_is_found_by_its_rule_alone() {
    type Change = fn(&mut App);
    let cases: [(&str, Change); 21] = [
        ("c1.served: 15 of 600 requests failed, 1 s without an answer", |a| {
            a.after.requests = a.after.requests.as_ref().map(|r| r.replacen("1150 local 15 0", "1150 local 15 15", 1));
        }),
        ("c1.served: 0 of 600 requests failed, 30 s without an answer", |a| {
            a.after.requests =
                a.after.requests.as_ref().map(|r| r.replacen("1150 mesh 15 0 1", "1150 mesh 15 0 30", 1));
        }),
        ("c1.remade: it is not: exit 1: never", |a| failed(a, "sample-pod-replaced")),
        ("c1.remade: it is not: exit 1: never", |a| failed(a, "cilium-agent-replaced")),
        ("c1.witness: it fell silent", |a| a.after.requests = Some("1000 local 15 0 1\n".into())),
        ("c1.untouched: from generation 1 to 2", |a| a.after.workload = Some("uid 2".into())),
        ("c1.untouched: it is gone", |a| a.during.workload = None),
        ("c2.counted: its page cannot be read after the outage", |a| a.after.metrics = None),
        ("c2.counted: its page cannot be read after the outage", |a| a.after.metrics = Some("nonsense 1\n".into())),
        ("c2.sent: 1600 of 9600 samples were", |a| a.after.metrics = Some(metrics(17600, 9600, 100))),
        ("c2.restart: it was started anew; what waited then is never sent", |a| {
            a.after.metrics = Some(metrics(1600, 1600, 700));
        }),
        ("c2.caught-up: they do not: exit 1: never", |a| failed(a, "caught-up")),
        ("c2.kept: 8 of 12 scrapes are missing", |a| a.scrapes = Some(4)),
        ("c2.kept: Thanos does not say how many it holds", |a| a.scrapes = None),
        ("c3.kept: it is gone", |a| a.during.secret = None),
        ("c3.kept: it was changed", |a| a.during.secret = Some("uid 4002".into())),
        ("c3.mounted: it does not: exit 1: never", |a| failed(a, "late-runs")),
        ("c3.fresh: it is not: exit 1: never", |a| failed(a, "refreshed")),
        ("c4.enforced: it is let in", |a| a.during.offered = Some((true, String::new()))),
        ("c4.enforced: nobody answers", |a| a.after.offered = None),
        ("c5.carried: 1 of 2 agents", |a| a.during.agents = Some(status(&["vxlan"]))),
    ];
    for (want, change) in cases {
        // A log without any line of a way is a witness less on both ways.
        let found = found(change);
        let silent = want.contains("silent");
        assert!(found[0] == want && (found.len() == 1 || silent), "{want}: {found:?}");
    }
}

#[test]
fn a_refusal_of_another_kind_proves_nothing() {
    let down = "failed calling webhook \"vpol\": no endpoints available for service \"kyverno-svc\"";
    let found = found(|a| a.during.offered = Some((false, down.into())));
    assert_eq!(found, [format!("c4.enforced: another answer: {down}")]);
}

#[test]
fn a_probe_that_was_started_anew_is_no_witness() {
    let found = found(|a| a.after.requests = Some("1300 local 15 0 1\n1300 mesh 15 0 1\n".into()));
    assert!(found.len() == 2 && found[0].starts_with("c1.witness: it was started anew"), "{found:?}");
}

#[test]
fn what_is_not_green_before_is_named_with_its_line() {
    let mut app = good();
    app.before.store = Some("2026-11-23T02:49:28Z False".into());
    app.before.agents = Some(status(&["vxlan", "geneve"]));
    app.before.metrics = None;
    let found = unready(&[app], &report());
    let told: Vec<String> = found.iter().map(|f| format!("{} {}", f.rule, f.at)).collect();
    assert_eq!(told[1..], ["c3.fresh infra/x.yaml:3", "c5.carried infra/x.yaml:5"]);
    assert_eq!(told[0], "c2.counted adr/0006-observability-agents.md");
}

#[test]
fn one_workload_cluster_has_no_one_to_ask() {
    let found = found(|a| {
        a.linked = false;
        a.after.requests = a.after.requests.as_ref().map(|r| r.replace("mesh 15 0", "mesh 15 15"));
    });
    assert_eq!(found, [""; 0]);
}
