//! Output and exit codes of `verify-contract` and `explain`.

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::golden;
use crate::ui;

/// Runs a command line in a folder without any tool; its exit code, stdout and stderr.
fn run(root: &Utf8Path, args: &[&str]) -> (u8, String, String) {
    run_on(root, args, "")
}

pub(super) fn run_on(root: &Utf8Path, args: &[&str], path: &str) -> (u8, String, String) {
    let ui::Ran { code, out, err } = ui::run(root, path, args);
    (code, out, err)
}

fn here() -> &'static Utf8Path {
    Utf8Path::from_path(golden::root()).expect("UTF-8")
}

/// A copy of the data with one change, to be thrown away.
#[expect(clippy::disallowed_methods, reason = "writes a copy of the repository's data to break it")]
pub(super) fn broken(file: &str, from: &str, to: &str) -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("UTF-8");
    for (path, text) in golden::data() {
        let text = if path == file { text.replacen(from, to, 1) } else { text };
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    std::fs::create_dir_all(root.join("adr")).expect("a folder");
    (folder, root)
}

#[test]
fn shipped_contract_holds_and_prints_its_figures() {
    let (code, out, err) = run(here(), &["verify-contract"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    for figure in
        ["guaranteed 6 h", "36.41 KiB/s", "0 fatal", "3 of 3 clusters", "refreshed every 1 h", "3 policies deny"]
    {
        assert!(out.contains(figure), "{figure} in\n{out}");
    }
    let (code, out, _) = run(here(), &["verify-contract", "--explain", "C2"]);
    assert!(code == 0 && out.contains("loss is all-or-nothing") && !out.contains("C1  "), "{out}");
    let (_, out, _) = run(here(), &["--format", "json", "verify-contract"]);
    let report: Value = serde_json::from_str(&out).expect("one object on one line");
    assert_eq!((&report["holds"], report["clauses"].as_array().map(Vec::len)), (&Value::Bool(true), Some(5)));
}

#[test]
fn breach_is_printed_with_its_line_and_exits_1() {
    let (_folder, root) = broken("charts/cilium/values.yaml", "routingMode: tunnel", "routingMode: native");
    let (code, out, _) = run(&root, &["verify-contract"]);
    assert_eq!(code, 1, "{out}");
    let want = "  x cilium on mgmt, app1 and app2 (c5.tunnel)\n      want  routingMode: tunnel\n      got   native\n\
                \x20     at    charts/cilium/values.yaml:9\n      why   adr/0005-cilium-vxlan.md\n";
    assert!(out.contains(want), "{out}");
    assert!(out.contains("the contract is broken: C5 with 1 finding"), "{out}");
    let excuse = ["verify-contract", "--allow", "C5", "--because", "routes are tried", "--junit", "report.xml"];
    let (code, out, err) = run(&root, &excuse);
    assert!(code == 0 && out.contains("excused because routes are tried"), "{out}");
    assert!(err.contains("report.xml"), "{err}");
    #[expect(clippy::disallowed_methods, reason = "reads what the command wrote")]
    let xml = std::fs::read_to_string(root.join("report.xml")).expect("a report");
    assert!(xml.contains("tests=\"5\" failures=\"0\" skipped=\"1\""), "{xml}");
    let (code, out, _) = run(&root, &["--format", "json", "verify-contract", "C5"]);
    let report: Value = serde_json::from_str(&out).expect("JSON");
    let found = &report["clauses"][0]["findings"][0];
    assert_eq!((code, &found["line"], &found["adr"]), (1, &9.into(), &"adr/0005-cilium-vxlan.md".into()));
}

/// What a cluster made here cannot work with is refused before anything is made, at the line of the data file.
#[test]
fn values_of_cilium_that_cannot_work_are_refused_with_their_line() {
    let values = "charts/cilium/values.yaml";
    let cases = [
        (values, "kubeProxyReplacement: \"true\"", "kubeProxyReplacement: \"false\"", "no Service would work", 5),
        (values, "    domain: mesh", "    clusters: {app9: {port: 1}}\n    domain: mesh", "name peers of the mesh", 69),
        (values, "type: NodePort", "type: LoadBalancer", "a Service of type LoadBalancer", 73),
        (
            values,
            "routingMode: tunnel",
            "extraConfig: {routing-mode: native}\nroutingMode: tunnel",
            "routing-mode: native",
            9,
        ),
        (
            "infra/manifests/namespaces.yaml",
            "apiVersion: v1\n",
            "apiVersion: cilium.io/v2\nkind: CiliumNodeConfig\nmetadata: {name: x}\nspec:\n  defaults:\n    \
             routing-mode: native\n---\napiVersion: v1\n",
            "routing-mode: native",
            8,
        ),
    ];
    for (file, from, to, what, line) in cases {
        let (_folder, root) = broken(file, from, to);
        let (code, out, err) = run(&root, &["fleet", "check"]);
        assert!(code == 2 && err.contains(what) && err.contains("hint:"), "{to}: {out}{err}");
        assert!(err.contains(&format!("{file}:{line}")), "{to}: {err}");
    }
    let (_folder, root) = broken("infra/kubeadm/init.yaml", "  disabled: true", "  disabled: false");
    change(&root.join("infra/kubeadm/init.yaml"), "  - addon/kube-proxy", "  - addon/other");
    change(&root.join(values), "kubeProxyReplacement: \"true\"", "kubeProxyReplacement: \"false\"");
    assert_eq!(run(&root, &["fleet", "check"]).0, 0, "kubeadm brings kube-proxy");
}

#[test]
fn contradictory_flags_are_refused() {
    for args in [&["verify-contract", "C9"][..], &["verify-contract", "--allow", "C3"], &["explain", "no-such-key"]] {
        assert_eq!(run(here(), args).0, 2, "{args:?}");
    }
    let (_, _, err) = run(here(), &["verify-contract", "--allow", "C3", "--because", " "]);
    assert!(err.contains("`--allow` needs a reason"), "{err}");
}

#[test]
fn line_is_linked_to_its_adr() {
    let (code, out, _) = run(here(), &["explain", "wal-truncate-frequency"]);
    assert!(code == 0 && out.contains("c2.guarantee") && out.contains("adr/0006-observability-agents.md"), "{out}");
    let (_, out, _) = run(here(), &["explain", "service_cidr"]);
    assert!(out.contains("adr/0007-service-cidrs.md"), "{out}");
}

#[test]
fn simulated_drill_and_its_report_are_verified() {
    let (_folder, root) = broken("infra/fleet.toml", "", "");
    let drill = ["verify-contract", "--simulate", "--drill", "mgmt-outage"];
    let (code, out, err) = run(&root, &drill);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("0 failed") && out.contains("nothing lost up to 6 h (computed: 6 h)"), "{out}");
    let (code, _, err) = run(&root, &["report", "verify", "--simulate"]);
    assert!(code == 0 && err.contains("Verified"), "{err}");
    change(&root.join("charts/cilium/values.yaml"), "vxlan", "geneve");
    let (code, _, err) = run(&root, &["report", "verify", "--simulate"]);
    assert!(
        code == 1 && err.contains("charts/cilium/values.yaml") && err.contains("C5 differs from the report"),
        "{err}"
    );
    let reports = root.join("out/simulation/reports");
    let name = reports.read_dir_utf8().expect("a folder").next().expect("a report").expect("an entry");
    change(&name.path().join("report.html"), "holds", "HOLDS");
    let (_, _, err) = run(&root, &["report", "verify", "--simulate"]);
    assert!(err.contains("report was modified (digest mismatch)"), "{err}");
}

/// One breach for each clause that a drill can show; the sentence names it.
#[test]
fn drill_of_a_broken_fleet_names_the_breach() {
    let drill = ["verify-contract", "--simulate", "--drill", "mgmt-outage"];
    let agent = "charts/prometheus-agent/values.yaml";
    let cases = [
        ("infra/manifests/sample.yaml", "optional: true", "optional: false", "x C1: 648 of 1916 requests failed"),
        (agent, "frequency=3h", "frequency=1h", "x C2: samples are lost in outages longer than 2 h, 2.7 h is promised"),
        ("charts/thanos/values.yaml", "window=12h", "window=1h", "x C2: samples are lost in outages longer than"),
        ("charts/external-secrets/values.yaml", "Interval: 5m", "Interval: 5h", "x C3: the secret was fresh only"),
    ];
    for (file, from, to, sentence) in cases {
        let (_folder, root) = broken(file, from, to);
        let (code, out, err) = run(&root, &drill);
        assert!(code == 1 && out.contains(sentence), "{file}: {out}{err}");
    }
}

#[test]
fn drill_asks_before_stopping_real_machines() {
    let (_folder, root) = broken("infra/fleet.toml", "", "");
    let (code, _, err) = run(&root, &["verify-contract", "--drill", "mgmt-outage", "--yes"]);
    assert!(code == 1 && err.contains("the drill is refused: nothing was stopped"), "{err}");
    assert!(!root.join("out/drill.json").exists(), "and there is nothing to bring back");
    for odd in ["5s", "25h", "soon"] {
        let (code, _, err) = run(&root, &["verify-contract", "--drill", "mgmt-outage", "--outage", odd]);
        assert!(code == 2 && err.contains("between 1m and 24h"), "{err}");
    }
    assert_eq!(run(here(), &["verify-contract", "--simulate"]).0, 2);
}

#[expect(clippy::disallowed_methods, reason = "changes a copy of the repository's data")]
fn change(path: &Utf8Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).expect("a file");
    assert!(text.contains(from), "{path}");
    std::fs::write(path, text.replace(from, to)).expect("a file");
}
