//! `cargo xtask charts …` with real Helm, a chart of our own and a chart server on this machine; and in the embedded
//! world, where a wrong digest costs no time. Knows nothing of how the list is edited or what is judged how.
#![expect(clippy::disallowed_methods, reason = "a repository, a chart and a server are made for the test")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::rc::Rc;

use camino::Utf8PathBuf;
use xtask::cmd::{Env, run};

use crate::golden::{data, read};
use crate::tool;

const LIST: &str = r#"# The list, with habits that stay.
[[manifest]]
name = "namespaces"
clusters = ["platform", "workload"]
wave = 1
file = "infra/manifests/namespaces.yaml"

# Tiny.
[[chart]]
name = "tiny"
chart = "tiny"
repository = "https://charts.test"
version = "0.1.0"   # not the newest
app_version = "1.0"
clusters = ["platform", "workload"]
namespace = "default"
wave = 2
arm64 = "it is ours"
ready = ["deployment/tiny"]
"#;

const VALUES: &str = "replicas: 1\nhostNetwork: false\nresources:\n  requests:\n    memory: 64Mi\n";

const TEMPLATE: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels: {app: tiny}
  template:
    metadata:
      labels: {app: tiny}
    spec:
      hostNetwork: {{ .Values.hostNetwork }}
      containers:
        - name: tiny
          image: "docker.io/library/tiny:{{ .Chart.AppVersion }}"
          resources: {{ toYaml .Values.resources | nindent 12 }}
"#;

/// What a command printed can be read afterwards.
#[derive(Clone, Default)]
struct Page(Rc<RefCell<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A repository of its own, with our data and another list.
struct Repository {
    _dir: tempfile::TempDir,
    root: Utf8PathBuf,
}

impl Repository {
    fn new(list: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(dir.path().canonicalize().unwrap()).unwrap();
        let repository = Repository { _dir: dir, root };
        for (path, text) in data() {
            repository.write(&path, &text);
        }
        repository.write("charts/releases.toml", list);
        repository.write("charts/tiny/values.yaml", "replicas: 2\n");
        repository
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path)).unwrap()
    }

    /// Its exit code, stdout and stderr.
    fn xtask(&self, line: &str) -> (u8, String, String) {
        let (out, err) = (Page::default(), Page::default());
        let vars = BTreeMap::from([("PATH".to_owned(), std::env::var("PATH").unwrap_or_default())]);
        let env = Env {
            root: self.root.clone(),
            here: self.root.clone(),
            vars,
            out: Box::new(out.clone()),
            err: Box::new(err.clone()),
            screen: None,
            keyboard: None,
            door: |host| Box::new(host),
        };
        let code = run(format!("xtask {line}").split(' ').map(OsString::from), env);
        let text = |page: Page| String::from_utf8(page.0.borrow().clone()).unwrap();
        (code, text(out), text(err))
    }

    /// Runs it, and shows everything if it ends otherwise.
    fn ends(&self, line: &str, want: u8) -> String {
        let (code, out, err) = self.xtask(line);
        assert_eq!(code, want, "{line}\n{out}\n{err}");
        out + &err
    }

    /// A chart server with two versions of tiny, and a Helm that finds it under its name.
    fn serve(&self, helm: &Path) -> Server {
        for (version, app) in [("0.1.0", "1.0"), ("0.2.0", "2.0")] {
            self.write(
                "tiny/Chart.yaml",
                &format!(
                    "apiVersion: v2\nname: tiny\nversion: {version}\nappVersion: \"{app}\"\ndependencies:\n  \
                     - name: inner\n    alias: part\n    version: 1.0.0\n    condition: part.enabled\n"
                ),
            );
            self.write("tiny/charts/inner/Chart.yaml", "apiVersion: v2\nname: inner\nversion: 1.0.0\n");
            self.write("tiny/charts/inner/values.yaml", "port: 80\n");
            self.write("tiny/values.yaml", VALUES);
            self.write("tiny/templates/deployment.yaml", TEMPLATE);
            let folder = self.root.join("server");
            let (good, said) = tool::run(tool::command(helm).args([
                "package",
                "--destination",
                folder.as_str(),
                self.root.join("tiny").as_str(),
            ]));
            assert!(good, "{said}");
        }
        let server = Server::new(self.root.join("server").as_std_path());
        let (good, said) = tool::run(
            tool::command(helm).args(["repo", "index", "server", "--url", &server.url]).current_dir(&self.root),
        );
        assert!(good, "{said}");
        let homes =
            ["CACHE", "CONFIG", "DATA"].map(|home| format!("export HELM_{home}_HOME={}/helm\n", self.root)).concat();
        let script = format!(
            "{homes}for word; do\n  shift\n  [ \"$word\" = https://charts.test ] && word={}\n  set -- \"$@\" \"$word\"\ndone\n\
             exec '{}' \"$@\"\n",
            server.url,
            helm.display()
        );
        self.program("helm", &script);
        server
    }

    /// A tool of this repository's own.
    fn program(&self, name: &str, script: &str) {
        let path = format!("out/bin/{name}");
        self.write(&path, &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(self.root.join(path), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// A fleet that fits a small machine.
const SMALL: &str = r#"[host]
memory = "8G"
usable = "7G"
docker = "0G"
free_disk = "1G"

[vm]
image = "24.04"
launch_lanes = 3

[versions]
kubernetes = "1.35.7"
kubeadm = "1.35.7"
pause = "3.10.1"
cilium = "1.20.0"
gateway_api = "1.6.1"

[versions.tools]
multipass = ">=1.16.2"
helm = ">=3.14, <5"
kubectl = ">=1.34, <1.37"
cilium = ">=0.19"

[mesh]
first_node_port = 32379

[[cluster]]
name = "mgmt"
id = 1
role = "platform"
memory = "6G"
pod_cidr = "10.100.0.0/16"
service_cidr = "10.96.0.0/16"

[[cluster.node]]
name = "cp"
role = "control-plane"
cpus = 2
memory = "3G"
disk = "20G"

[[cluster.node]]
name = "w1"
role = "worker"
cpus = 2
memory = "3G"
disk = "30G"
"#;

/// Tools that say who they are, and leave a mark if they are asked for anything else.
const STAND_INS: &[(&str, &str, &str)] = &[
    ("multipass", "version --format json", r#"{"multipass": "1.16.3", "multipassd": "1.16.3"}"#),
    ("kubectl", "version --client --output json", r#"{"clientVersion": {"gitVersion": "v1.35.2"}}"#),
    ("cilium", "version --client", "cilium-cli: v0.19.7"),
];

/// Ends with the test.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn new(folder: &Path) -> Self {
        let python = tool::real("python3").expect("asked for before");
        let args = ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"];
        let mut command = tool::command(python);
        command.args(args).arg(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // `Serving HTTP on 127.0.0.1 port 41234 (http://127.0.0.1:41234/) ...`
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split(" port ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a port").to_owned();
        Server { child, url: format!("http://127.0.0.1:{port}") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// The tools, or nothing if one is missing here.
fn tools(helm: &str) -> Option<PathBuf> {
    tool::real("python3")?;
    tool::real(helm)
}

/// One story: look, lock, fetch, verify, raise.
fn upkeep(helm: &str) {
    let Some(helm) = tools(helm) else { return };
    let here = Repository::new(LIST);
    let _server = here.serve(&helm);
    let said = here.ends("charts outdated", 0);
    assert!(said.contains("release  pinned  newest  note\ntiny     0.1.0   0.2.0   installs 2.0\n"), "{said}");

    here.ends("charts lock", 0);
    let locked = here.read("charts/releases.toml");
    let digest = locked.lines().find_map(|l| l.strip_prefix("sha256 = \"")).expect("a digest").trim_end_matches('"');
    let row = "version = \"0.1.0\"   # not the newest\n";
    assert_eq!(locked, LIST.replace(row, &format!("{row}sha256 = \"{digest}\"\n")), "nothing else is touched");
    assert!(here.ends("charts lock", 0).contains("every download has its digest"));
    assert!(here.ends("charts pull", 0).contains("nothing to do"));
    here.write("out/charts/tiny-0.1.0.tgz", "damaged");
    let said = here.ends("charts verify", 1);
    let other = "error: the archive of `tiny` is another file than the list says: `tiny-0.1.0.tgz`";
    assert!(said.contains(other) && said.contains(&format!("want {digest}\n")), "{said}");
    assert!(here.ends("charts pull", 0).contains("1 done"));

    let said = here.ends("charts verify", 0);
    assert!(said.contains("Verified 1 release on 3 clusters"), "{said}");
    here.write("charts/tiny/values.yaml", "replica: 2\nhostNetwork: true\nresources: {requests: {memory: 9Gi}}\n");
    let said = here.ends("charts verify", 1);
    for finding in [
        "`replica` is not in the chart of `tiny`\n  --> charts/tiny/values.yaml:1\n",
        "hint: did you mean `replicas`?",
        "namespace `default` forbids `deployment/tiny` of `tiny`\n  --> infra/manifests/namespaces.yaml:8\n",
        "violates baseline: host namespaces (hostNetwork=true)",
        "no node of the cluster has room for a pod of `tiny deployment/tiny`",
    ] {
        assert!(said.contains(finding), "{finding}\n{said}");
    }
    let said = here.ends("bootstrap", 2);
    let slip = "error: `replica` is not in the chart of `tiny`\n  --> charts/tiny/values.yaml:1\n";
    assert!(said.contains(slip) && !said.contains("multipass"), "{said}");

    assert!(here.ends("charts bump tiny --to 0.9.0", 1).contains("0.9.0"));
    assert_eq!(here.read("charts/releases.toml"), locked, "a version that does not exist changes nothing");
    here.ends("charts bump tiny", 0);
    let raised = here.read("charts/releases.toml");
    let other = raised.lines().find_map(|l| l.strip_prefix("sha256 = \"")).expect("a digest").trim_end_matches('"');
    let want = locked.replace("\"0.1.0\"", "\"0.2.0\"").replace("\"1.0\"", "\"2.0\"").replace(digest, other);
    assert!(raised == want && digest != other, "{raised}");
    assert!(here.ends("charts outdated", 0).contains("tiny     0.2.0   0.2.0\n"));
}

#[test]
fn releases_are_kept_with_helm_4() {
    upkeep("helm");
    opened("helm");
}

#[test]
fn releases_are_kept_with_helm_3() {
    upkeep("helm3");
    opened("helm3");
}

/// What is wrong in values and in archives without a digest is told before anything is done.
fn opened(helm: &str) {
    let Some(helm) = tools(helm) else { return };
    let here = Repository::new(LIST);
    let _server = here.serve(&helm);
    here.ends("charts pull", 0);
    here.write(
        "charts/tiny/values.yaml",
        "replicas: two\nresources:\n  requests:\n    memory: 64Mb\npart:\n  enabled: false\n  porrt: 81\n",
    );
    let said = here.ends("bootstrap", 2);
    let read = "is not what Kubernetes reads";
    for finding in [
        "error: `part.porrt` is not in the chart of `tiny`\n  --> charts/tiny/values.yaml:7\n",
        "hint: did you mean `port`?",
        &format!("`replicas` of deployment/tiny in `tiny` {read}: \"two\"\n  --> charts/tiny/values.yaml:1\n"),
        &format!("`memory` of deployment/tiny in `tiny` {read}: \"64Mb\"\n  --> charts/tiny/values.yaml:4\n"),
        "error: 3 problems in charts/tiny/values.yaml",
    ] {
        assert!(said.contains(finding), "{finding}\n{said}");
    }
    here.write("charts/tiny/values.yaml", "resources: 3\nhostNetwork: {a: b}\nreplicas: [\"{{\"]\n");
    here.write("out/charts/tiny-0.1.0.tgz", "damaged");
    let said = here.ends("bootstrap", 2);
    let broken =
        "error: the archive of `tiny` cannot be read: `out/charts/tiny-0.1.0.tgz`\n  --> charts/releases.toml:9\n";
    assert!(said.contains(broken) && !said.contains("cannot render"), "{said}");
    std::fs::copy(here.root.join("server/tiny-0.2.0.tgz"), here.root.join("out/charts/tiny-0.1.0.tgz")).unwrap();
    let said = here.ends("charts verify", 1);
    assert!(said.contains("error: the archive of `tiny` is another chart: `out/charts/tiny-0.1.0.tgz`\n"), "{said}");
    assert!(
        said.contains("why: it holds tiny 0.2.0, not tiny 0.1.0\n  hint: rm out/charts/tiny-0.1.0.tgz && "),
        "{said}"
    );
}

#[test]
fn a_file_that_the_list_names_is_missed_where_it_is_named() {
    let here = Repository::new(&LIST.replace("manifests/namespaces.yaml", "manifests/namespace.yaml"));
    std::fs::remove_file(here.root.join("charts/tiny/values.yaml")).unwrap();
    let said = here.ends("fleet check", 2);
    for told in [
        "a data file is missing: `infra/manifests/namespace.yaml`\n  --> charts/releases.toml:6\n",
        "did you mean `infra/manifests/namespaces.yaml`?",
        "a data file is missing: `charts/tiny/values.yaml`\n  --> charts/releases.toml:10\n",
    ] {
        assert!(said.contains(told), "{told}\n{said}");
    }
}

#[test]
fn an_object_that_two_documents_describe_is_told_with_both() {
    let here = Repository::new(&read("charts/releases.toml"));
    let twice = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: monitoring\n";
    here.write(
        "infra/manifests/namespaces-workload.yaml",
        &format!("{}---\n{twice}", read("infra/manifests/namespaces-workload.yaml")),
    );
    let said = here.ends("fleet check", 2);
    let file = "infra/manifests/namespaces-workload.yaml";
    let line = read(file).lines().count() + 2;
    let told = format!(
        "an object is described twice: `Namespace/monitoring`\n  --> {file}:{line}\n  \
         \x20why: the first is infra/manifests/namespaces.yaml:"
    );
    assert!(said.contains(&told), "{said}");
}

#[test]
fn what_a_manifest_runs_is_counted_too() {
    let here = Repository::new(&read("charts/releases.toml"));
    let sample = read("infra/manifests/sample.yaml").replace("memory: 32Mi", "memory: 5Gi").replace(":6.14.1", "");
    here.write("infra/manifests/sample.yaml", &sample);
    let said = here.ends("charts verify --values-only", 1);
    for told in [
        "no node of the cluster has room for a pod of `sample deployment/sample`",
        "an image of `sample` has no fixed tag: `ghcr.io/stefanprodan/podinfo`\n  --> infra/manifests/sample.yaml\n",
    ] {
        assert!(said.contains(told), "{told}\n{said}");
    }
}

/// On a machine where nothing is there yet, archives come first: what does not fit them is told before a VM is made.
#[test]
fn values_are_tried_before_a_first_run_makes_anything() {
    let Some(helm) = tools("helm") else { return };
    if tool::real("openssl").is_none() || tool::real("curl").is_none() {
        return;
    }
    let here = Repository::new(LIST);
    let _server = here.serve(&helm);
    here.write("infra/fleet.toml", SMALL);
    for (name, question, answer) in STAND_INS {
        let touched = here.root.join("touched");
        here.program(
            name,
            &format!("[ \"$*\" = '{question}' ] && echo '{answer}' && exit; echo \"$0 $*\" >>'{touched}'; exit 1"),
        );
    }
    here.write("charts/tiny/values.yaml", "replica: 2\n");
    let said = here.ends("bootstrap", 2);
    assert!(said.contains("Done charts/tiny-0.1.0"), "{said}");
    assert!(
        said.contains("error: `replica` is not in the chart of `tiny`\n  --> charts/tiny/values.yaml:1\n"),
        "{said}"
    );
    assert!(!here.root.join("touched").exists(), "{}", here.read("touched"));
    // With good values the same machine is asked for its first VM.
    here.write("charts/tiny/values.yaml", "replicas: 2\n");
    here.ends("bootstrap", 1);
    assert!(here.read("touched").contains("multipass"), "{}", here.read("touched"));
}

#[test]
fn a_namespace_that_nobody_makes_is_told_before_anything_is_done() {
    let here = Repository::new(&LIST.replace("namespace = \"default\"", "namespace = \"defalt\""));
    for line in ["fleet check", "bootstrap --rehearse"] {
        let said = here.ends(line, 2);
        let told = "no manifest on mgmt makes the namespace of `tiny`: `defalt`\n  --> charts/releases.toml:";
        assert!(said.contains(told) && said.contains("did you mean `default`?"), "{said}");
        assert_eq!(said.matches("makes the namespace of").count(), 1, "the same on every cluster is told once: {said}");
    }
    let here = Repository::new(&read("charts/releases.toml"));
    let file = "infra/manifests/secret-stores.yaml";
    here.write(file, &read(file).replace("namespace: sample", "namespace: smaple"));
    let said = here.ends("fleet check", 2);
    let told = "no manifest on app1 makes the namespace of `ExternalSecret/sample-credentials`: `smaple`\n  --> infra/";
    assert!(said.contains(told) && said.contains("did you mean `sample`?"), "{said}");
}

#[test]
fn a_rehearsal_invents_no_chart() {
    let here = Repository::new(LIST);
    let said = here.ends("bootstrap --rehearse", 2);
    let told = "error: a rehearsal does not know the chart `tiny` of https://charts.test\n  --> charts/releases.toml\n";
    assert!(said.contains(told), "{said}");
    assert!(here.ends("plan bootstrap", 0).contains("helm pull tiny"));
}

#[test]
fn downloads_can_be_rehearsed() {
    let here = Repository::new(&read("charts/releases.toml"));
    assert!(here.ends("charts pull --rehearse", 0).contains("Rehearsed charts pull"));
    assert!(here.ends("charts pull --rehearse", 0).contains("nothing to do"));
    assert!(here.ends("charts pull --dry-run", 0).contains("helm pull cilium"));
}

#[test]
fn memory_is_judged_without_charts_too() {
    let here = Repository::new(&read("charts/releases.toml"));
    let said = here.ends("charts verify --values-only", 0);
    assert!(said.starts_with("node, MiB  memory  for pods  on every node  anywhere  left\nmgmt-cp "), "{said}");
    assert!(said.contains("by their values alone"), "{said}");
}

#[test]
fn a_release_that_is_not_there_is_named() {
    let here = Repository::new(LIST);
    assert!(here.ends("charts bump tyny", 2).contains("did you mean `tiny`?"));
    assert!(here.ends("charts bump tiny --to latest", 2).contains("not a full version"));
    assert!(here.ends("charts bump namespaces", 2).contains("has no version"));
}
