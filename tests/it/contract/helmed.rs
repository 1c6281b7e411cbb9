//! `verify-contract` with charts rendered by real Helm.
#![expect(clippy::disallowed_methods, reason = "a chart is packed for the test")]

use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use super::super::{golden, run_cli};
use super::verdicts::{broken, run_on};

const ENTRY: &str = r#"
[[chart]]
name = "tiny"
chart = "tiny"
repository = "https://charts.test"
version = "1.0.0"
app_version = "1.0.0"
clusters = ["platform", "workload"]
namespace = "default"
wave = 2
needs = ["namespaces"]
arm64 = "it is ours"
ready = []
[chart.bindings]
"cluster.name" = "cluster.name"
"#;

/// A webhook on the platform, and a pod elsewhere that asks for it there; no value shows either.
const BREACH: &str = r#"{{- if eq .Values.cluster.name "mgmt" }}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata:
  name: tiny
webhooks:
  - name: pods.tiny.test
    clientConfig: {service: {name: tiny, namespace: default}}
    rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
    sideEffects: None
    admissionReviewVersions: [v1]
{{- else }}
apiVersion: v1
kind: Pod
metadata:
  name: tiny
spec:
  containers:
    - name: tiny
      image: docker.io/library/tiny:1.0.0
      env:
        - name: UPSTREAM
          value: {{ printf "https://%s-%s.%s:%d" "mgmt" "api" "test" 6443 | replace "-api.test" "-api" }}
{{- end }}
"#;

/// A repository of its own with one release more.
struct Here {
    _folder: tempfile::TempDir,
    root: Utf8PathBuf,
    helm: std::path::PathBuf,
    path: String,
}

impl Here {
    /// Nothing where this machine has no such Helm.
    fn new(helm: &str) -> Option<Self> {
        let helm = run_cli::find(helm)?;
        let (folder, root) = broken("", "", "");
        let list = golden::read("charts/releases.toml") + ENTRY;
        let here = Here { _folder: folder, path: format!("{root}/bin"), root, helm };
        here.write("charts/releases.toml", &list);
        here.write("charts/tiny/values.yaml", "# What a person tunes: nothing.\n{}\n");
        std::fs::create_dir_all(here.root.join("bin")).expect("a folder");
        std::os::unix::fs::symlink(&here.helm, here.root.join("bin/helm")).expect("a link");
        Some(here)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// Packs the chart of the fixtures, with one template more if it is to break something.
    fn pack(&self, more: &str) {
        for file in ["Chart.yaml", "values.yaml", "templates/configmap.yaml"] {
            self.write(&format!("tiny/{file}"), &golden::read(&format!("tests/fixtures/chart/{file}")));
        }
        self.write("tiny/templates/more.yaml", more);
        let (archives, chart) = (self.root.join("out/charts"), self.root.join("tiny"));
        let mut command = run_cli::command(&self.helm);
        command.args(["package", "--destination", archives.as_str(), chart.as_str()]).current_dir(Path::new("/"));
        let (good, said) = run_cli::run(&mut command);
        assert!(good, "{said}");
    }

    fn judge(&self, args: &[&str], path: &str) -> (u8, String, String) {
        run_on(&self.root, &[&["verify-contract"], args].concat(), path)
    }
}

fn verify_rendered(helm: &str, major: &str) {
    let Some(here) = Here::new(helm) else { return };
    let written = "static: values and manifests;";
    let (code, out, err) = here.judge(&[], &here.path);
    assert!(code == 0 && out.contains(written), "nothing is pulled\n{out}{err}");

    here.pack("");
    let (code, out, err) = here.judge(&[], "");
    assert!(code == 0 && out.contains(written), "there is no Helm\n{out}{err}");
    let (code, out, err) = here.judge(&[], &here.path);
    let looked = format!("static: values, manifests and 3 objects that 1 of 15 charts render (helm v{major}.");
    assert!(code == 0 && out.contains(&looked), "{looked}\n{out}{err}");

    here.pack(BREACH);
    let (code, out, err) = here.judge(&["--format", "json"], &here.path);
    assert_eq!(code, 1, "{out}{err}");
    let report: Value = serde_json::from_str(out.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&report["rendered"]["objects"], &report["rendered"]["of"]), (&6.into(), &15.into()));
    assert_eq!(found(&report), WANT);
    let line = golden::read("charts/releases.toml").lines().count() + 2;
    let (_, out, _) = here.judge(&["C4"], &here.path);
    assert!(out.contains(&format!("      at    charts/releases.toml:{line}\n")), "{out}");
}

const WANT: [&str; 2] = [
    "c1.dependencies Pod/tiny of tiny on app1,app2: mgmt-api",
    "c4.placement ValidatingWebhookConfiguration/tiny of tiny on mgmt: webhook pods.tiny.test is asked about them",
];

/// Every finding: rule, subject, clusters and the first words of what it got.
fn found(report: &Value) -> Vec<String> {
    let findings =
        report["clauses"].as_array().into_iter().flatten().flat_map(|c| c["findings"].as_array().expect("a list"));
    let told = |f: &Value| {
        let clusters: Vec<&str> = f["clusters"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        let got = f["got"].as_str().expect("a text").split(": ").next().unwrap_or_default();
        let word = |key: &str| f[key].as_str().expect("a text").to_owned();
        format!("{} {} on {}: {got}", word("rule"), word("subject"), clusters.join(","))
    };
    findings.map(told).collect()
}

#[test]
fn breach_in_rendered_objects_is_found_with_helm_4() {
    verify_rendered("helm", "4");
}

#[test]
fn breach_in_rendered_objects_is_found_with_helm_3() {
    verify_rendered("helm3", "3");
}

/// What is judged must be what would be installed.
#[test]
fn archive_with_another_digest_is_no_evidence() {
    let Some(here) = Here::new("helm") else { return };
    here.pack("");
    let list = golden::read("charts/releases.toml")
        + &ENTRY.replace("app_version", &format!("sha256 = \"{}\"\napp_version", "0".repeat(64)));
    here.write("charts/releases.toml", &list);
    let (code, out, err) = here.judge(&[], &here.path);
    assert!(code == 1 && err.contains("digest mismatch for `tiny`"), "{out}{err}");
    assert!(Utf8Path::new(&here.root).join("out/charts/tiny-1.0.0.tgz").exists());
}
