//! Generated files of whole fleets.
mod quotes;

use model::fleet::Fleet;
use model::problem::Problem;
use model::release::Releases;
use model::token::{self, Token};
use model::yaml;
use render::cloud_init::{BUNDLE, VERSIONS};
use render::{self, Data, Files};
use serde_json::{Value, json};

use crate::golden::{self, data};

const LIST: &str = r#"
[[manifest]]
name = "namespaces"
clusters = ["platform", "workload"]
wave = 1
file = "infra/manifests/namespaces.yaml"

[[manifest]]
name = "namespaces-platform"
clusters = ["platform"]
wave = 1
file = "infra/manifests/namespaces-platform.yaml"

[[chart]]
name = "cilium"
chart = "cilium"
repository = "https://helm.cilium.io"
version = "1.20.2"
clusters = ["platform", "workload"]
namespace = "kube-system"
wave = 1
"#;

/// This table of bindings, at the end of the list.
type Bindings<'a> = &'a [(&'a str, &'a str)];

const CILIUM: Bindings<'static> = &[
    ("cluster.name", "cluster.name"),
    ("cluster.id", "cluster.id"),
    ("k8sServiceHost", "cluster.ip"),
    ("clustermesh.apiserver.service.nodePort", "cluster.mesh_port"),
    ("tls.ca.cert", "secret:mesh-ca.cert"),
    ("tls.ca.key", "secret:mesh-ca.key"),
];

fn fleet() -> Fleet {
    golden::load("tests/fleets/three.toml").0
}

/// The releases with these bindings of Cilium and of the manifest `namespaces`.
fn releases(cilium: Bindings, namespaces: Bindings) -> Releases {
    let map = |set: Bindings| set.iter().map(|(path, value)| (path.to_string(), value.to_string())).collect();
    let mut releases = golden::releases(LIST, &fleet());
    (releases.charts[0].bindings, releases.manifests[0].bindings) = (map(cilium), map(namespaces));
    releases.lines.insert("cilium.bindings".into(), 20);
    releases
}

fn render(data: &Data, cilium: Bindings, namespaces: Bindings) -> Result<Files, Vec<Problem>> {
    render::files(&fleet(), &releases(cilium, namespaces), data)
}

fn files() -> Files {
    render(&data(), CILIUM, &[]).expect("the repository's own data is good")
}

/// What stands in the manifest `namespaces` of app1 once this is bound in it.
fn bound(set: Bindings) -> Result<Vec<Value>, Vec<Problem>> {
    render(&data(), CILIUM, set).map(|files| documents(&files["app1/namespaces.yaml"]))
}

#[test]
fn manifest_gets_its_bindings() {
    let path = "Namespace/monitoring:metadata.annotations";
    let set = [(&*format!("{path}.cluster"), "cluster.name"), (&*format!("{path}.pass"), "secret:some-password")];
    let before = bound(&[]).expect("nothing is bound");
    let after = bound(&set).expect("two keys are bound");
    for (before, after) in before.iter().zip(&after) {
        if after["metadata"]["name"] == "monitoring" {
            let want = json!({"cluster": "app1", "pass": "<secret:some-password>"});
            assert_eq!(after["metadata"]["annotations"], want);
        } else {
            assert_eq!(before, after);
        }
    }
}

#[test]
fn invalid_bindings_of_a_manifest_are_reported() {
    let printed = |path: &str, binding: &str| bound(&[(path, binding)]).expect_err(path).remove(0);
    let place = |p: &Problem| p.at.as_ref().map(ToString::to_string).unwrap_or_default();
    let none = printed("Namespace/none:a", "cluster.name");
    assert_eq!(none.what, "`bindings` names an object that the file does not have: `Namespace/none`");
    assert!(place(&none).starts_with("charts/releases.toml"), "{none:?}");
    let taken = printed("Namespace/default:metadata.name", "cluster.name");
    assert!(place(&taken).starts_with("infra/manifests/namespaces.yaml:"), "{taken:?}");
    assert!(printed("Namespace/default:a", "cluster.nmae").hint.is_some_and(|h| h.contains("cluster.name")));
    let unmade = printed("Namespace/default:a", "secret:app1.key");
    assert_eq!(unmade.what, "no step creates a secret named `app1.key`");
}

fn problems(change: impl FnOnce(&mut Data), set: Bindings) -> Vec<Problem> {
    let mut data = data();
    change(&mut data);
    render(&data, set, &[]).expect_err("there is something wrong")
}

fn append(data: &mut Data, file: &str, text: &str) {
    data.get_mut(file).expect("a data file").push_str(text);
}

fn documents(text: &str) -> Vec<Value> {
    yaml::parse("a generated file", text).expect("YAML").into_iter().map(|d| d.value).collect()
}

fn sample(token: Token<'_>) -> Option<String> {
    Some(match token {
        Token::Fact(name) if name.ends_with(".ip") => "192.168.64.10".into(),
        Token::Fact(_) => format!("sha256:{}", "0123456789abcdef".repeat(4)),
        Token::Secret(name) if name.ends_with(".join-secret") => "a123456789e12345".into(),
        Token::Secret(_) => "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==".into(),
        Token::Digest(_) => return None,
    })
}

#[test]
fn every_cluster_gets_its_files() {
    let files = files();
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let mut want = vec!["kubeconfig.yaml", "mgmt/namespaces-platform.yaml", "node-scripts", "prep.env"];
    let own =
        ["cilium/values.yaml", "cp/cloud-init.yaml", "cp/kubeadm-init.yaml", "kubeconfig.yaml", "namespaces.yaml"];
    let own = own.into_iter().chain(["cp/kubeadm-upgrade.yaml", "w1/cloud-init.yaml", "w1/kubeadm-join.yaml"]);
    let all: Vec<String> = own.flat_map(|file| ["app1", "app2", "mgmt"].map(|c| format!("{c}/{file}"))).collect();
    want.extend(all.iter().map(String::as_str));
    want.sort();
    assert_eq!(names, want);
}

#[test]
fn control_plane_config_has_names_addresses_and_ranges() {
    let documents = documents(&files()["app1/cp/kubeadm-init.yaml"]);
    let [init, cluster, kubelet] = &documents[..] else { panic!("three documents") };
    assert_eq!(init["bootstrapTokens"][0]["token"], "arc002.<secret:app1.join-secret>");
    assert_eq!(init["bootstrapTokens"][0]["ttl"], "2h0m0s");
    assert_eq!(init["localAPIEndpoint"], json!({"advertiseAddress": "<fact:app1.cp.ip>", "bindPort": 6443}));
    assert_eq!(init["nodeRegistration"]["name"], "app1-cp");
    assert_eq!(
        init["nodeRegistration"]["kubeletExtraArgs"],
        json!([{"name": "node-ip", "value": "<fact:app1.cp.ip>"}])
    );
    assert_eq!(init["nodeRegistration"]["taints"], json!([]), "an empty list, not a missing one");
    assert_eq!(init["skipPhases"], json!(["addon/kube-proxy"]));
    assert_eq!(cluster["proxy"], json!({"disabled": true}));
    assert_eq!(cluster["kubernetesVersion"], "v1.35.7");
    assert_eq!(cluster["controlPlaneEndpoint"], "app1-api:6443");
    assert_eq!(cluster["networking"]["podSubnet"], "10.101.0.0/16");
    assert_eq!(cluster["networking"]["serviceSubnet"], "10.97.0.0/16");
    let names = cluster["apiServer"]["certSANs"].as_array().expect("a list");
    for name in ["app1-api", "app1-cp", "app1-cp.local", "app1-cp.multipass", "127.0.0.1", "<fact:app1.cp.ip>"] {
        assert!(names.contains(&name.into()), "{name}");
    }
    assert_eq!(kubelet["cgroupDriver"], "systemd");
}

#[test]
fn worker_config_has_the_ca_hash() {
    let join = &documents(&files()["app1/w1/kubeadm-join.yaml"])[0];
    let want = json!({
        "apiServerEndpoint": "app1-api:6443",
        "token": "arc002.<secret:app1.join-secret>",
        "caCertHashes": ["<fact:app1.ca-hash>"],
    });
    assert_eq!(join["discovery"]["bootstrapToken"], want);
    assert_eq!(join["timeouts"]["discovery"], "15m0s");
    assert_eq!(join["nodeRegistration"]["name"], "app1-w1");
    assert_eq!(join["nodeRegistration"]["kubeletExtraArgs"][0]["value"], "<fact:app1.w1.ip>");
}

#[test]
fn merged_kubeconfigs_keep_users_apart() {
    let merged = &documents(&files()["kubeconfig.yaml"])[0];
    let names = |list: &str| -> Vec<&str> {
        merged[list].as_array().expect("a list").iter().filter_map(|entry| entry["name"].as_str()).collect()
    };
    assert_eq!(names("users"), ["mgmt-admin", "app1-admin", "app2-admin"]);
    assert_eq!(names("contexts"), ["mgmt", "app1", "app2"]);
    assert_eq!(merged["current-context"], "mgmt");
    let own = &documents(&files()["app2/kubeconfig.yaml"])[0];
    assert_eq!(own["clusters"][0]["cluster"]["server"], "https://<fact:app2.cp.ip>:6443");
    assert_eq!(own["clusters"][0]["cluster"]["tls-server-name"], "app2-api");
    assert_eq!(own["contexts"], json!([{"name": "app2", "context": {"cluster": "app2", "user": "app2-admin"}}]));
}

#[test]
fn values_are_the_data_file_plus_bindings() {
    let files = files();
    let values = &documents(&files["app2/cilium/values.yaml"])[0];
    assert_eq!(values["cluster"], json!({"name": "app2", "id": 3}));
    assert_eq!(values["clustermesh"]["apiserver"]["service"], json!({"type": "NodePort", "nodePort": 32381}));
    assert_eq!(values["k8sServiceHost"], "<fact:app2.cp.ip>");
    assert_eq!(values["tls"]["ca"]["key"], "<secret:mesh-ca.key>");
    assert_eq!(values["kubeProxyReplacement"], "true", "text stays text");
}

#[test]
fn tokens_become_text_in_files() {
    for (name, text) in files() {
        // Shell, and given before anything is known, as cloud-init is.
        if [BUNDLE, VERSIONS].contains(&name.as_str()) || name.ends_with("cloud-init.yaml") {
            assert_eq!(token::tokens(&text), [], "{name}");
            continue;
        }
        let before = documents(&text);
        let after = documents(&token::complete(&text, sample).expect("all known"));
        let filled: Vec<Value> = before.into_iter().map(fill).collect();
        assert_eq!(filled, after, "{name}");
    }
}

/// Puts values in place of tokens inside the values themselves, where they cannot be anything but text.
fn fill(value: Value) -> Value {
    match value {
        Value::String(text) => token::complete(&text, sample).expect("all known").into(),
        Value::Array(items) => items.into_iter().map(fill).collect(),
        Value::Object(entries) => Value::Object(entries.into_iter().map(|(key, value)| (key, fill(value))).collect()),
        other => other,
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let change = |data: &mut Data| {
        append(data, "infra/kubeadm/init.yaml", "---\napiVersion: v1\nkind: ClusterConfiguration\n");
        append(data, "infra/node/cloud-init.yaml", "package_upgrade: 'no'\n");
        append(data, "infra/manifests/namespaces.yaml", "---\nkind: Namespace\nmetadata: {name: <fact:mgmt.cp.ip>}\n");
        append(data, "charts/cilium/values.yaml", "cluster:\n  id: 9\ntunnel: on\n");
        data.remove("infra/kubeadm/kubeconfig.yaml");
    };
    let found = problems(change, CILIUM);
    let what: Vec<&str> = found.iter().map(|p| p.what.as_str()).collect();
    let want = [
        "a data file contains a token: `<fact:…>`",
        "a data file is missing: `infra/kubeadm/kubeconfig.yaml`",
        "a string would be re-parsed as another type when the YAML is rewritten without quotes: `package_upgrade: \"no\"`",
        "a value has two meanings: `on`",
        "an object has no `apiVersion`",
        "expected one document of kind `ClusterConfiguration`, found 2",
    ];
    assert_eq!(what, want);
}

/// Each with its line, its reason and what helps.
#[test]
fn user_data_that_keeps_a_vm_from_becoming_a_node_is_refused() {
    let file = "infra/node/cloud-init.yaml";
    let cases = [
        ("runcmd:", "vendor_data:\n  enabled: false\nruncmd:", "user-data must not set `vendor_data`"),
        ("runcmd:", "users: [{name: me}]\nruncmd:", "user-data must not set `users`"),
        ("runcmd:", "ssh_authorized_keys: [ssh-ed25519 A]\nruncmd:", "user-data must not set `ssh_authorized_keys`"),
        ("runcmd:", "hostname: node\nruncmd:", "user-data must not set `hostname`"),
        ("runcmd:", "power_state: {mode: reboot}\nruncmd:", "user-data must not set `power_state`"),
        ("runcmd:", "swap: {filename: /swap, size: 1G}\nruncmd:", "user-data must not set `swap`"),
        ("runcmd:", "cloud_final_modules: [runcmd]\nruncmd:", "user-data must not set `cloud_final_modules`"),
        ("_hosts: localhost", "_hosts: true", "`manage_etc_hosts` must be localhost, and is true"),
        ("_hosts: localhost", "_hosts: template", "`manage_etc_hosts` must be localhost, and is \"template\""),
        ("manage_etc_hosts: localhost", "ssh_pwauth2: false", "`manage_etc_hosts` must be localhost, and is null"),
        ("mode: auto", "mode: false", "`growpart` keeps the file system at the size of the image"),
        ("sbin/node-prep", "sbin/node-other", "`runcmd` does not run node-prep"),
    ];
    for (from, to, what) in cases {
        let found = problems(|data| *data.get_mut(file).expect("there") = data[file].replace(from, to), CILIUM);
        let [problem] = &found[..] else { panic!("{to}: {found:#?}") };
        let placed = problem.at.as_ref().is_some_and(|at| at.file == file && at.line.is_some());
        assert!(problem.what == what && placed && problem.why.is_some() && problem.hint.is_some(), "{problem:#?}");
    }
}

#[test]
fn kubelet_settings_that_do_not_work_here_are_refused() {
    let with = |old: &str, new: &str| {
        let mut data = data();
        let text = data.get_mut("infra/kubeadm/init.yaml").expect("there");
        assert!(text.contains(old), "{old}");
        *text = text.replace(old, new);
        let found = render(&data, CILIUM, &[]).err().unwrap_or_default();
        assert!(
            found.iter().all(|p| p.at.as_ref().is_some_and(|at| at.line.is_some()) && p.hint.is_some()),
            "{found:?}"
        );
        found.into_iter().map(|problem| problem.what).collect::<Vec<_>>()
    };
    assert_eq!(with("failSwapOn: true", "serverTLSBootstrap: true"), ["serverTLSBootstrap: true"]);
    assert_eq!(with("shutdownGracePeriod: 30s", "shutdownGracePeriod: 1m0s"), ["shutdownGracePeriod: 1m0s"]);
    assert_eq!(with("maxPods: 110", "maxPods: 300"), ["maxPods: 300"]);
    let wider = "controllerManager:\n  extraArgs:\n    - name: node-cidr-mask-size\n      value: '23'";
    let text = data()["infra/kubeadm/init.yaml"].replace("maxPods: 110", "maxPods: 300");
    let text = text.replacen("controllerManager:\n  extraArgs:", wider, 1);
    let mut data = data();
    data.insert("infra/kubeadm/init.yaml".to_owned(), text);
    assert_eq!(render(&data, CILIUM, &[]).err(), None);
    let proxy = "---\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: nftables\n";
    append(&mut data, "infra/kubeadm/init.yaml", proxy);
    assert_eq!(render(&data, CILIUM, &[]).err(), None, "as kubeadm, which has no use for it");
}

#[test]
fn api_call_below_the_start_of_the_control_plane_is_refused() {
    let with = |old: &'static str, new: &'static str| {
        let mut data = data();
        let text = data.get_mut("infra/kubeadm/init.yaml").expect("there");
        assert!(text.contains(old), "{old}");
        *text = text.replace(old, new);
        render(&data, CILIUM, &[]).err().unwrap_or_default()
    };
    let found = with("kubernetesAPICall: 6m0s", "kubernetesAPICall: 2m0s");
    let text = &data()["infra/kubeadm/init.yaml"];
    let line = text.lines().position(|line| line.contains("kubernetesAPICall:")).map(|at| at + 1);
    let place = found[0].at.as_ref().expect("a place");
    assert_eq!((found.len(), place.file.as_str(), place.line), (1, "infra/kubeadm/init.yaml", line));
    assert!(found[0].what.contains("is 2m0s, below controlPlaneComponentHealthCheck, which is 6m0s"), "{found:?}");
    assert_eq!(found[0].hint.as_deref(), Some("kubernetesAPICall: 6m0s"));
    // The defaults are a minute and four.
    assert_eq!(with("  kubernetesAPICall: 6m0s\n", "").len(), 1);
    assert_eq!(with("  kubernetesAPICall: 6m0s\n", "  kubernetesAPICall: 8m0s\n"), []);
}

#[test]
fn rendered_field_in_a_data_file_is_refused() {
    let change = |data: &mut Data| {
        let text = data.get_mut("infra/kubeadm/init.yaml").expect("there");
        *text = text.replace("  dnsDomain: cluster.local", "  dnsDomain: cluster.local\n  podSubnet: 10.0.0.0/8");
        append(data, "charts/cilium/values.yaml", "cluster:\n  id: 9\n");
    };
    let found = problems(change, CILIUM);
    assert_eq!(found.len(), 2, "each once, not once per cluster: {found:#?}");
    let line = |file: &str, key: &str| {
        let problem = found
            .iter()
            .find(|p| p.what == format!("`{key}` is set both by the data file and by the renderer"))
            .expect(key);
        assert_eq!(problem.at.as_ref().expect("a place").file, file);
        (problem.at.as_ref().and_then(|at| at.line).is_some(), problem.why.clone().unwrap_or_default())
    };
    let (placed, why) = line("infra/kubeadm/init.yaml", "networking.podSubnet");
    assert!(placed && why.starts_with("tests/fleets/three.toml"), "{why}");
    let (placed, why) = line("charts/cilium/values.yaml", "cluster.id");
    assert!(placed && why.starts_with("charts/releases.toml:20 "), "{why}");
}

#[test]
fn unknown_binding_is_refused_with_a_suggestion() {
    let set = [("a", "cluster.mash_port"), ("b", "fact:app1.cp.pi"), ("c", "secret:a b"), ("d", "10.0.0.1")];
    let found = problems(|_| {}, &set);
    let hint = |what: &str| found.iter().find(|p| p.what.contains(what)).expect(what).hint.clone().unwrap_or_default();
    assert_eq!(hint("`cluster.mash_port`"), "did you mean `cluster.mesh_port`?");
    assert_eq!(hint("`app1.cp.pi`"), "did you mean `fact:app1.cp.ip`?");
    assert_eq!(found.len(), 4);
    assert!(found.iter().all(|p| p.at.as_ref().is_some_and(|at| at.to_string() == "charts/releases.toml:20")));
}

#[test]
fn node_preparation_uses_the_fleet_versions() {
    let text = &files()["mgmt/w1/cloud-init.yaml"];
    let user_data = &documents(text)[0];
    let written = user_data["write_files"].as_array().expect("a list");
    let content = |path: &str| written.iter().find(|file| file["path"] == path).expect(path)["content"].clone();
    let want = "K8S_MINOR=v1.35\nK8S_PATCH=1.35.7\nPAUSE_IMAGE=registry.k8s.io/pause:3.10.1\nEGRESS=pkgs.k8s.io,";
    let env = content("/etc/archipelago/prep.env");
    let env = env.as_str().expect("text");
    assert!(env.starts_with(want) && env.contains(",registry-1.docker.io,") && env.lines().count() == 4, "{env}");
    assert_eq!(render::cloud_init::prep_marker(&fleet()), "k8s=1.35.7 pause=registry.k8s.io/pause:3.10.1");
    for script in render::cloud_init::SCRIPTS {
        assert_eq!(content(&format!("/usr/local/sbin/{script}")), data()[&format!("infra/node/{script}")], "verbatim");
    }
}
