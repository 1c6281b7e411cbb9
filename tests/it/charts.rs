//! `cargo xtask charts` with real Helm and a chart server on this machine, and in the simulator.
#![expect(clippy::disallowed_methods, reason = "a repository, a chart and a server are made for the test")]

mod first;
mod repository;

use repository::{LIST, Repository, tools};

use crate::golden::read;

/// Upkeep: look, lock, fetch, verify, raise.
fn upkeep(helm: &str) {
    let Some(helm) = tools(helm) else { return };
    let here = Repository::new(LIST);
    let _server = here.serve(&helm);
    let printed = here.ends("charts outdated", 0);
    assert!(printed.contains("release  pinned  newest  note\ntiny     0.1.0   0.2.0   installs 2.0\n"), "{printed}");

    here.ends("charts lock", 0);
    let locked = here.read("charts/releases.toml");
    let digest = locked.lines().find_map(|l| l.strip_prefix("sha256 = \"")).expect("a digest").trim_end_matches('"');
    let row = "version = \"0.1.0\"   # not the newest\n";
    assert_eq!(locked, LIST.replace(row, &format!("{row}sha256 = \"{digest}\"\n")), "nothing else is touched");
    assert!(here.ends("charts lock", 0).contains("every download has its digest"));
    assert!(here.ends("charts pull", 0).contains("nothing to do"));
    here.write("out/charts/tiny-0.1.0.tgz", "damaged");
    let printed = here.ends("charts verify", 1);
    let other = "error: digest mismatch for `tiny`: `tiny-0.1.0.tgz`";
    assert!(printed.contains(other) && printed.contains(&format!("want {digest}\n")), "{printed}");
    assert!(here.ends("charts pull", 0).contains("1 changed"));

    let printed = here.ends("charts verify", 0);
    assert!(printed.contains("Verified 1 release on 3 clusters"), "{printed}");
    here.write("charts/tiny/values.yaml", "replica: 2\nhostNetwork: true\nresources: {requests: {memory: 9Gi}}\n");
    let printed = here.ends("charts verify", 1);
    for finding in [
        "`replica` is not in the chart of `tiny`\n  --> charts/tiny/values.yaml:1\n",
        "hint: did you mean `replicas`?",
        "namespace `default` forbids `deployment/tiny` of `tiny`\n  --> infra/manifests/namespaces.yaml:8\n",
        "violates baseline: host namespaces (hostNetwork=true)",
        "no node has enough free memory for a pod of `tiny deployment/tiny`",
    ] {
        assert!(printed.contains(finding), "{finding}\n{printed}");
    }
    let printed = here.ends("bootstrap", 2);
    let slip = "error: `replica` is not in the chart of `tiny`\n  --> charts/tiny/values.yaml:1\n";
    assert!(printed.contains(slip) && !printed.contains("multipass"), "{printed}");

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
fn release_list_is_maintained_with_helm_4() {
    upkeep("helm");
    opened("helm");
}

#[test]
fn release_list_is_maintained_with_helm_3() {
    upkeep("helm3");
    opened("helm3");
}

/// What is wrong in values and in archives without a digest is reported before any change.
fn opened(helm: &str) {
    let Some(helm) = tools(helm) else { return };
    let here = Repository::new(LIST);
    let _server = here.serve(&helm);
    here.ends("charts pull", 0);
    here.write(
        "charts/tiny/values.yaml",
        "replicas: two\nresources:\n  requests:\n    memory: 64Mb\npart:\n  enabled: false\n  porrt: 81\n",
    );
    let printed = here.ends("bootstrap", 2);
    let read = "is not valid in Kubernetes";
    for finding in [
        "error: `part.porrt` is not in the chart of `tiny`\n  --> charts/tiny/values.yaml:7\n",
        "hint: did you mean `port`?",
        &format!("`replicas` of deployment/tiny in `tiny` {read}: \"two\"\n  --> charts/tiny/values.yaml:1\n"),
        &format!("`memory` of deployment/tiny in `tiny` {read}: \"64Mb\"\n  --> charts/tiny/values.yaml:4\n"),
        "error: 3 problems in charts/tiny/values.yaml",
    ] {
        assert!(printed.contains(finding), "{finding}\n{printed}");
    }
    here.write("charts/tiny/values.yaml", "resources: 3\nhostNetwork: {a: b}\nreplicas: [\"{{\"]\n");
    here.write("out/charts/tiny-0.1.0.tgz", "damaged");
    let printed = here.ends("bootstrap", 2);
    let broken =
        "error: the archive of `tiny` cannot be read: `out/charts/tiny-0.1.0.tgz`\n  --> charts/releases.toml:9\n";
    assert!(printed.contains(broken) && !printed.contains("cannot render"), "{printed}");
    std::fs::copy(here.root.join("server/tiny-0.2.0.tgz"), here.root.join("out/charts/tiny-0.1.0.tgz")).unwrap();
    let printed = here.ends("charts verify", 1);
    assert!(
        printed.contains("why: it contains tiny 0.2.0, not tiny 0.1.0\n  hint: rm out/charts/tiny-0.1.0.tgz && "),
        "{printed}"
    );
}

#[test]
fn missing_file_is_reported_at_its_line() {
    let here = Repository::new(&LIST.replace("manifests/namespaces.yaml", "manifests/namespace.yaml"));
    std::fs::remove_file(here.root.join("charts/tiny/values.yaml")).unwrap();
    let printed = here.ends("fleet check", 2);
    for expected in [
        "a data file is missing: `infra/manifests/namespace.yaml`\n  --> charts/releases.toml:6\n",
        "did you mean `infra/manifests/namespaces.yaml`?",
        "a data file is missing: `charts/tiny/values.yaml`\n  --> charts/releases.toml:10\n",
    ] {
        assert!(printed.contains(expected), "{expected}\n{printed}");
    }
}

#[test]
fn duplicate_object_is_reported_with_both_places() {
    let here = Repository::new(&read("charts/releases.toml"));
    let twice = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: monitoring\n";
    here.write(
        "infra/manifests/namespaces-workload.yaml",
        &format!("{}---\n{twice}", read("infra/manifests/namespaces-workload.yaml")),
    );
    let printed = here.ends("fleet check", 2);
    let file = "infra/manifests/namespaces-workload.yaml";
    let line = read(file).lines().count() + 2;
    let expected = format!(
        "duplicate object `Namespace/monitoring`\n  --> {file}:{line}\n     {line} | apiVersion: v1\n  \
         \x20why: first defined in infra/manifests/namespaces.yaml:"
    );
    assert!(printed.contains(&expected), "{printed}");
}

#[test]
fn workloads_of_manifests_are_counted() {
    let here = Repository::new(&read("charts/releases.toml"));
    let sample = read("infra/manifests/sample.yaml").replace("memory: 32Mi", "memory: 5Gi").replace(":6.14.1", "");
    here.write("infra/manifests/sample.yaml", &sample);
    let printed = here.ends("charts verify --values-only", 1);
    for expected in [
        "no node has enough free memory for a pod of `sample deployment/sample`",
        "an image of `sample` has no fixed tag: `ghcr.io/stefanprodan/podinfo`\n  --> infra/manifests/sample.yaml\n",
    ] {
        assert!(printed.contains(expected), "{expected}\n{printed}");
    }
}

#[test]
fn missing_namespace_is_reported_before_any_change() {
    let here = Repository::new(&LIST.replace("namespace = \"default\"", "namespace = \"defalt\""));
    for line in ["fleet check", "bootstrap --simulate"] {
        let printed = here.ends(line, 2);
        let expected = "no manifest on mgmt has the namespace of `tiny`: `defalt`\n  --> charts/releases.toml:";
        assert!(printed.contains(expected) && printed.contains("did you mean `default`?"), "{printed}");
        assert_eq!(
            printed.matches("has the namespace of").count(),
            1,
            "the same on every cluster is reported once: {printed}"
        );
    }
    let here = Repository::new(&read("charts/releases.toml"));
    let file = "infra/manifests/secret-stores.yaml";
    here.write(file, &read(file).replace("namespace: sample", "namespace: smaple"));
    let printed = here.ends("fleet check", 2);
    let expected =
        "no manifest on app1 has the namespace of `ExternalSecret/sample-credentials`: `smaple`\n  --> infra/";
    assert!(printed.contains(expected) && printed.contains("did you mean `sample`?"), "{printed}");
}

#[test]
fn downloads_can_be_simulated() {
    let here = Repository::new(&read("charts/releases.toml"));
    assert!(here.ends("charts pull --simulate", 0).contains("Simulated charts pull"));
    assert!(here.ends("charts pull --simulate", 0).contains("nothing to do"));
    assert!(here.ends("charts pull --dry-run", 0).contains("helm pull cilium"));
}

#[test]
fn memory_is_judged_without_charts() {
    let here = Repository::new(&read("charts/releases.toml"));
    let printed = here.ends("charts verify --values-only", 0);
    assert!(printed.starts_with("node, MiB  memory  for pods  on every node  anywhere  free\nmgmt-cp "), "{printed}");
    assert!(printed.contains("by their values only"), "{printed}");
}

#[test]
fn unknown_release_is_named() {
    let here = Repository::new(LIST);
    assert!(here.ends("charts bump tyny", 2).contains("did you mean `tiny`?"));
    assert!(here.ends("charts bump tiny --to latest", 2).contains("not a full version"));
    assert!(here.ends("charts bump namespaces", 2).contains("has no version"));
}
