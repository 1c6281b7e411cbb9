//! The real bootstrap through real processes, from nothing to three clusters, and then once more.
//! Knows nothing of what goes wrong.
#![expect(clippy::disallowed_methods, reason = "looks at what a process left on disk")]

use std::os::unix::fs::PermissionsExt;

use super::place::{Place, undisturbed};

/// How commands begin that change nothing. `--kubeconfig out/kube/…` and its like are left out before.
const READING: &[&str] = &[
    "own machine",
    "own dial",
    "own sha256",
    "multipass version",
    "multipass info",
    "helm version",
    "kubectl version",
    "kubectl get",
    "kubectl diff",
    "kubectl rollout status",
    "cilium version",
    "cilium status",
    "openssl version",
    "curl --version",
];

fn is_reading(asked: &serde_json::Value) -> bool {
    let args = asked["args"].as_array().into_iter().flatten().filter_map(|arg| arg.as_str());
    let line = std::iter::once(asked["tool"].as_str().unwrap_or_default()).chain(args).collect::<Vec<_>>().join(" ");
    let line = regex::Regex::new(r" --(kubeconfig|request-timeout) [^ ]+").unwrap().replace_all(&line, "").into_owned();
    let state = line.starts_with("multipass exec -n ") && line.contains(" -- sudo /usr/local/sbin/node-state ");
    let vault = line.starts_with("kubectl exec ")
        && [" vault status ", " -- test ! -e ", "exec vault read -format=json "].iter().any(|read| line.contains(read));
    state || vault || READING.iter().any(|reading| line.starts_with(reading))
}

#[test]
fn the_whole_bootstrap_runs_through_real_processes_and_then_rests() {
    let place = Place::new();
    let first = place.run("bootstrap");
    assert_eq!((first.code, first.out.as_str()), (Some(0), ""), "{}", first.err);
    let end = place.end();
    assert_eq!(end, undisturbed().end);
    for (vm, cluster) in [("mgmt-cp", "mgmt"), ("app1-cp", "app1"), ("app2-cp", "app2")] {
        let nodes = &end[vm]["cluster"]["nodes"];
        assert_eq!(end[vm]["cluster"]["name"], cluster);
        assert_eq!(
            (nodes[vm].as_bool(), nodes[format!("{cluster}-w1")].as_bool()),
            (Some(true), Some(true)),
            "{nodes}"
        );
    }
    let asked = place.asked();
    assert!(!asked.iter().all(is_reading), "the first run has changed something");
    let second = place.run("bootstrap");
    assert_eq!(second.code, Some(0), "{}", second.err);
    assert!(second.err.trim_end().ends_with("nothing to do"), "{}", second.err);
    let all = place.asked();
    let acts: Vec<_> = all[asked.len()..].iter().filter(|asked| !is_reading(asked)).collect();
    assert!(acts.is_empty() && all.len() > asked.len(), "the second run changes something: {acts:?}");
    assert_eq!(place.end(), end);
}

#[test]
fn helm_3_is_as_good() {
    let place = Place::with_tools(&[("helm", "3.18.0")]);
    let ran = place.run("bootstrap");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(place.end(), undisturbed().end);
}

#[test]
fn no_secret_leaves_its_place_and_nobody_else_may_read_it() {
    let place = Place::new();
    // A run that is cut off, one that goes on, and one that has nothing to do: all their words are looked at.
    place.start("bootstrap -v", 2000).kill_after(undisturbed().took / 2);
    assert_eq!(place.run("bootstrap --format json").code, Some(0));
    assert_eq!(place.run("bootstrap --explain").code, Some(0));
    let secrets: Vec<(String, String)> = place
        .below("out/secrets")
        .into_iter()
        .map(|path| (path.to_string(), std::fs::read_to_string(path).unwrap().trim().to_owned()))
        .collect();
    assert!(secrets.len() >= 14 && secrets.iter().all(|(_, value)| value.len() >= 16), "{}", secrets.len());
    let streams = (0..3).flat_map(|run| [format!("stdout.{run}"), format!("stderr.{run}")]);
    let files = ["out/journal.jsonl", "state.asked"].map(str::to_owned).into_iter().chain(streams);
    let logs = place.below("out/logs").into_iter().map(|path| path.strip_prefix(place.root()).unwrap().to_string());
    let files: Vec<String> = files.chain(logs).collect();
    assert!(files.len() > 40, "logs of every step: {}", files.len());
    for file in files {
        let text = place.text(&file);
        for (name, value) in &secrets {
            assert!(!text.contains(value.as_str()), "{name} is in {file}");
        }
    }
    for folder in ["out/secrets", "out/kube"] {
        for path in place.below(folder).into_iter().chain([place.root().join(folder)]) {
            let data = path.metadata().unwrap();
            let want = if data.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(data.permissions().mode() & 0o777, want, "{path}");
        }
    }
}
