//! User-data of the VMs: the base document, with every file of `infra/node/` under `write_files`.
//!
//! Where the machines' driver re-emits user-data without quotes, every scalar must keep its type without them, or the file
//! is refused: cloud-init reads YAML 1.1.

use serde_json::{Value, json};

use super::merge::{Derived, merge};
use super::{Data, Files, document, from_module, text};
use machines::Driver;
use model::fleet::Fleet;
use model::problem::Problem;
use model::yaml::yaml11::{self, Kind};
use model::yaml::{self, Document, Path};

const NODE_FILES: [(&str, &str); 9] = [
    ("modules.conf", "/etc/modules-load.d/90-archipelago.conf"),
    ("sysctl.conf", "/etc/sysctl.d/90-archipelago.conf"),
    ("crictl.yaml", "/etc/crictl.yaml"),
    ("apt.conf", "/etc/apt/apt.conf.d/80-archipelago"),
    ("timesyncd.conf", "/etc/systemd/timesyncd.conf.d/90-archipelago.conf"),
    ("chrony.conf", "/etc/chrony/conf.d/90-archipelago.conf"),
    ("networkd.conf", "/etc/systemd/networkd.conf.d/90-archipelago.conf"),
    ("containerd-v2.toml", "/etc/archipelago/containerd-v2.toml"),
    ("containerd-v3.toml", "/etc/archipelago/containerd-v3.toml"),
];

/// Registries of our images, and their endpoints.
const REGISTRIES: [(&str, &str); 6] = [
    ("docker.io", "https://registry-1.docker.io"),
    ("ghcr.io", "https://ghcr.io"),
    ("quay.io", "https://quay.io"),
    ("registry.k8s.io", "https://registry.k8s.io"),
    ("public.ecr.aws", "https://public.ecr.aws"),
    ("reg.kyverno.io", "https://reg.kyverno.io"),
];

/// Scripts for `/usr/local/sbin`.
pub const SCRIPTS: [&str; 11] = [
    "node-etcd",
    "node-hosts",
    "node-keep",
    "node-prep",
    "node-readdress",
    "node-renew",
    "node-reset",
    "node-run",
    "node-state",
    "node-token",
    "node-upgrade",
];

/// All scripts in one file below `out/`, for nodes that an older checkout created. `node-state` prints the same text of
/// the scripts beside it, so one digest tells whether a node has these.
pub const BUNDLE: &str = "node-scripts";
/// The versions of a node, below `out/`: for nodes that were created with older ones.
pub const VERSIONS: &str = "prep.env";

/// `<cluster>/<node>/cloud-init.yaml` of every node. Identical for all nodes: what differs is
/// known at run time and is in the kubeadm documents.
///
/// # Errors
/// A missing or broken data file, or scalars that would change their type without quotes.
pub fn files(fleet: &Fleet, data: &Data) -> Result<Files, Vec<Problem>> {
    let base = document(data, "infra/node/cloud-init.yaml")?;
    let unfit = unfit(&base);
    if !unfit.is_empty() {
        return Err(unfit);
    }
    let owner = from_module("cloud_init");
    let user_data = merge(&base, &[Derived::new("write_files", write_files(fleet, data)?, owner)])?;
    let problems =
        Driver::of(fleet).loses_quotes().map_or_else(Vec::new, |why| depends_on_quotes(&base, &user_data, why));
    if !problems.is_empty() {
        return Err(problems);
    }
    let text = format!("#cloud-config\n{}", yaml::write(&[user_data]));
    let nodes = fleet.clusters.iter().flat_map(|c| c.nodes.iter().map(move |n| format!("{}/{}", c.name, n.name)));
    let mut files: Files = nodes.map(|node| (format!("{node}/cloud-init.yaml"), text.clone())).collect();
    files.insert(BUNDLE.to_owned(), bundle(data)?);
    files.insert(VERSIONS.to_owned(), prep_env(fleet));
    Ok(files)
}

/// Keys that user-data must not have, by why. cloud-init takes each of them whole from user-data, so what the driver set
/// for it in its vendor-data is gone (docs.cloud-init.io: merging user data; Multipass 1.16: base_cloud_init_config).
const REFUSED: [(&[&str], &str); 5] = [
    (
        &[
            "users",
            "user",
            "ssh_authorized_keys",
            "vendor_data",
            "system_info",
            "disable_root",
            "ssh",
            "datasource_list",
        ],
        "it takes the place of the user and the key by which this machine logs in to the VM",
    ),
    (
        &["hostname", "fqdn", "preserve_hostname", "prefer_fqdn_over_hostname", "create_hostname_file"],
        "a node is called like its VM, and its certificates, taints and volumes are bound to that name",
    ),
    (
        &["cloud_init_modules", "cloud_config_modules", "cloud_final_modules", "merge_how", "merge_type"],
        "it decides which parts of this file run, and those that prepare a node must",
    ),
    (&["power_state"], "the VM would go down while it is being waited for"),
    (&["swap"], "a kubelet does not start on a node with swap"),
];

/// What a base document has, or lacks, that keeps a VM from becoming a node.
fn unfit(base: &Document) -> Vec<Problem> {
    let file = &base.file;
    let line = |key: &str| base.line(&[key.to_owned()]);
    let has = |key: &str| base.value.get(key).is_some();
    let mut found = Vec::new();
    for (keys, why) in REFUSED {
        for key in keys.iter().filter(|key| has(key)) {
            let problem = Problem::new(format!("user-data must not set `{key}`")).at(file, line(key)).why(why);
            found.push(problem.hint(format!("remove {key}; node-prep can do what a node needs beside Kubernetes")));
        }
    }
    let hosts = &base.value["manage_etc_hosts"];
    if *hosts != json!(false) && hosts != "localhost" {
        let why = "the driver's own vendor-data says true: /etc/hosts is then written again at every boot, without the name \
                   of the API server";
        let problem = Problem::new(format!("`manage_etc_hosts` must be localhost, and is {hosts}"));
        found.push(problem.at(file, line("manage_etc_hosts")).why(why).hint("manage_etc_hosts: localhost"));
    }
    let grows =
        base.value["growpart"]["mode"].as_str() != Some("off") && base.value["growpart"]["mode"] != json!(false);
    for (key, bad) in [("growpart", !grows), ("resize_rootfs", base.value["resize_rootfs"] == json!(false))] {
        if bad {
            let problem = Problem::new(format!("`{key}` keeps the file system at the size of the image"));
            let why = "the disk of a node would be full with the first images";
            found.push(problem.at(file, line(key)).why(why).hint(format!("remove {key}")));
        }
    }
    let runs = base.value["runcmd"].as_array().into_iter().flatten().any(|c| c.to_string().contains("/node-prep"));
    if !runs {
        let problem = Problem::new("`runcmd` does not run node-prep").at(file, line("runcmd"));
        found.push(problem.why("it installs containerd and the kubelet").hint("runcmd: [[/usr/local/sbin/node-prep]]"));
    }
    found
}

/// Each script after a line with its name, and an end marker.
fn bundle(data: &Data) -> Result<String, Vec<Problem>> {
    let mut all = String::new();
    for name in SCRIPTS {
        all.push_str(&format!("#: {name}\n{}", text(data, &format!("infra/node/{name}"))?));
    }
    Ok(all + "#: end\n")
}

/// The sandbox image that containerd must pin: kubeadm's own.
pub fn pause_image(fleet: &Fleet) -> String {
    format!("registry.k8s.io/pause:{}", fleet.versions.pause)
}

/// Content of `node-prep`'s marker, and so of `node-state`'s `prep`, on a node with the fleet's versions.
pub fn prep_marker(fleet: &Fleet) -> String {
    format!("k8s={} pause={}", fleet.versions.kubeadm, pause_image(fleet))
}

/// Versions for `node-prep` and the hosts it needs, unless a mirror stands before them. It sources them: shell
/// assignments without spaces.
fn prep_env(fleet: &Fleet) -> String {
    let kubeadm = &fleet.versions.kubeadm;
    let image = pause_image(fleet);
    let registries = REGISTRIES.iter().filter(|_| fleet.registry.mirror.is_none());
    let hosts = registries.map(|(_, server)| server.trim_start_matches("https://"));
    let egress = ["pkgs.k8s.io"].into_iter().chain(hosts).collect::<Vec<_>>().join(",");
    let minor = format!("v{}.{}", kubeadm.major, kubeadm.minor);
    format!("K8S_MINOR={minor}\nK8S_PATCH={kubeadm}\nPAUSE_IMAGE={image}\nEGRESS={egress}\n")
}

fn write_files(fleet: &Fleet, data: &Data) -> Result<Value, Vec<Problem>> {
    let source = |name: &str| text(data, &format!("infra/node/{name}"));
    let mut problems = Vec::new();
    let mut entries = vec![json!({"path": "/etc/archipelago/prep.env", "content": prep_env(fleet)})];
    entries.extend(mirrors(fleet));
    for (name, path) in NODE_FILES {
        match source(name) {
            Ok(content) => entries.push(json!({"path": path, "content": content})),
            Err(missing) => problems.extend(missing),
        }
    }
    for name in SCRIPTS {
        let path = format!("/usr/local/sbin/{name}");
        match source(name) {
            // 0o755, not 0755: without quotes it stays text in YAML 1.1, and cloud-init reads it as octal.
            Ok(content) => entries.push(json!({"path": path, "content": content, "permissions": "0o755"})),
            Err(missing) => problems.extend(missing),
        }
    }
    if problems.is_empty() { Ok(entries.into()) } else { Err(problems) }
}

/// Per registry: the mirror's project of its name, then the registry itself. containerd falls back to
/// `server` when a host does not answer (<https://github.com/containerd/containerd/blob/main/docs/hosts.md>).
fn mirrors(fleet: &Fleet) -> Vec<Value> {
    let Some(mirror) = &fleet.registry.mirror else { return vec![] };
    let entry = |(registry, server): (&str, &str)| {
        let host = format!("[host.\"{mirror}/v2/{registry}\"]");
        let rest = "capabilities = [\"pull\", \"resolve\"]\noverride_path = true";
        let content = format!("server = \"{server}\"\n\n{host}\n{rest}\n");
        json!({"path": format!("/etc/containerd/certs.d/{registry}/hosts.toml"), "content": content})
    };
    REGISTRIES.into_iter().map(entry).collect()
}

/// Every scalar that is a string only because of its quotes.
fn depends_on_quotes(base: &Document, value: &Value, why: &str) -> Vec<Problem> {
    let mut found = Vec::new();
    texts(value, &mut Path::new(), &mut found);
    let problem = |(path, text): (Path, &str)| {
        Problem::new(format!(
            "a string would be re-parsed as another type when the YAML is rewritten without quotes: `{}: \"{text}\"`",
            path.join(".")
        ))
        .at(&base.file, base.lines.get(&path).copied())
        .why(why)
        .hint("use a value that is a string without quotes, such as 0o755 for a file mode, or set it in node-prep")
    };
    found.into_iter().map(problem).collect()
}

fn texts<'a>(value: &'a Value, path: &mut Path, found: &mut Vec<(Path, &'a str)>) {
    let mut below = |key: String, value: &'a Value| {
        path.push(key);
        texts(value, path, found);
        path.pop();
    };
    match value {
        Value::String(text) if yaml11::kind(text) != Kind::Text => found.push((path.clone(), text)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, item)| below(i.to_string(), item)),
        Value::Object(entries) => entries.iter().for_each(|(key, item)| below(key.clone(), item)),
        _ => {}
    }
}
