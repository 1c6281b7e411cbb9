//! Versions that work together, a fixed image, links and ports of the mesh.

use semver::Version;

use crate::fleet::Compatibility;
use crate::fleet::compatibility::CiliumMinor;
use crate::fleet::document::Diagnostics;
use crate::fleet::draft::{Draft, kubectl_range};
use crate::problem::{Problem, nearest};

/// Aliases that Multipass moves to each new Ubuntu release.
const MOVING_IMAGES: [&str; 5] = ["lts", "ubuntu", "default", "devel", ""];

/// Default of `--service-node-port-range`.
const NODE_PORTS: std::ops::RangeInclusive<i64> = 30000..=32767;

pub(super) fn check(diagnostics: &mut Diagnostics, draft: &Draft, known: &Compatibility) {
    image(diagnostics, draft);
    kubeadm(diagnostics, draft);
    pause(diagnostics, draft, known);
    kubectl(diagnostics, draft);
    cilium(diagnostics, draft, known);
    node_ports(diagnostics, draft);
    links(diagnostics, draft);
}

fn minor(version: &Version) -> String {
    format!("{}.{}", version.major, version.minor)
}

fn image(diagnostics: &mut Diagnostics, draft: &Draft) {
    let Some(image) = &draft.image.value else { return };
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
    let problem = if MOVING_IMAGES.contains(&image.as_str()) || image.starts_with("daily:") {
        Problem::new(format!("`image` is a moving alias: {image:?}"))
            .why("Multipass points it at each new release, so VMs made later would differ")
    } else if image.starts_with('-') || !image.chars().all(plain) {
        Problem::new(format!("`image` is not a release: {image:?}"))
    } else if is_fit(image) {
        return;
    } else {
        Problem::new(format!("`image` is no Ubuntu that becomes a node: {image:?}")).why(
            "a node needs cgroup v2 (the kubelet of Kubernetes 1.35 refuses v1), a kernel from 5.10 on (Cilium) and apt: \
             a server image of Ubuntu 22.04 or newer",
        )
    };
    diagnostics.add(problem.hint("image = \"24.04\""), draft.image.line);
}

/// A release of Ubuntu Server from 22.04 on, by number or by name; of the remote `release`, if one is named.
fn is_fit(image: &str) -> bool {
    const NAMES: [&str; 7] = ["jammy", "kinetic", "lunar", "mantic", "noble", "plucky", "questing"];
    let release = image.strip_prefix("release:").unwrap_or(image);
    let number = || {
        let (year, month) = release.split_once('.')?;
        let year: u32 = year.parse().ok().filter(|year| *year >= 22)?;
        ["04", "10"].contains(&month).then_some(year)
    };
    NAMES.contains(&release) || number().is_some()
}

/// The accepted kubectl follows from Kubernetes; a range of one's own would let in one that it does not support.
fn kubectl(diagnostics: &mut Diagnostics, draft: &Draft) {
    let Some(kubernetes) = &draft.kubernetes.value else { return };
    let Some((_, range)) = draft.tools.iter().find(|(name, _)| name == "kubectl") else { return };
    let wanted = kubectl_range(kubernetes);
    if range.value.as_ref().is_some_and(|range| *range != wanted) {
        let problem = Problem::new(format!("`kubectl` does not follow Kubernetes {}", minor(kubernetes)))
            .why("kubectl is supported one minor version to each side of the API server")
            .hint(format!("kubectl = \"{wanted}\""));
        diagnostics.add(problem, range.line);
    }
}

fn kubeadm(diagnostics: &mut Diagnostics, draft: &Draft) {
    let (Some(kubeadm), Some(kubernetes)) = (&draft.kubeadm.value, &draft.kubernetes.value) else { return };
    let why = if minor(kubeadm) != minor(kubernetes) {
        "kubeadm, kubelet and Kubernetes share one minor version"
    } else if kubernetes > kubeadm {
        "kubeadm installs its own version or an older one"
    } else {
        return;
    };
    // Measured: `config validate` of 1.35 accepts 1.36 and 1.37, and init only warns.
    let problem = Problem::new(format!("kubeadm {kubeadm} does not match Kubernetes {kubernetes}"))
        .why(format!("{why}; kubeadm only warns about a newer Kubernetes and continues"))
        .hint(format!("kubeadm = \"{kubernetes}\""));
    diagnostics.add(problem, draft.kubeadm.line);
}

fn pause(diagnostics: &mut Diagnostics, draft: &Draft, known: &Compatibility) {
    let Some(kubernetes) = &draft.kubernetes.value else { return };
    let minor = minor(kubernetes);
    let Some(entry) = known.kubernetes.iter().find(|k| k.minor == minor) else {
        diagnostics.add(unknown("Kubernetes", "kubernetes", &minor, known), draft.kubernetes.line);
        return;
    };
    if let Some(pause) = draft.pause.value.as_ref().filter(|pause| **pause != entry.pause) {
        let problem = Problem::new(format!("`pause` is not the version that kubeadm {minor} expects: {pause:?}"))
            .why(
                "kubelet and containerd must use the same sandbox image, or it is pulled twice and may be removed \
                  while in use",
            )
            .hint(format!("pause = \"{}\"", entry.pause));
        diagnostics.add(problem, draft.pause.line);
    }
}

fn cilium(diagnostics: &mut Diagnostics, draft: &Draft, known: &Compatibility) {
    let Some(cilium) = &draft.cilium.value else { return };
    let minor = minor(cilium);
    let Some(entry) = known.cilium.iter().find(|c| c.minor == minor) else {
        diagnostics.add(unknown("Cilium", "cilium", &minor, known), draft.cilium.line);
        return;
    };
    gateway_api(diagnostics, draft, cilium, entry);
    let Some(kubernetes) = &draft.kubernetes.value else { return };
    if !entry.kubernetes.contains(&self::minor(kubernetes)) {
        let problem = Problem::new(format!("Cilium {cilium} is not tested with Kubernetes {kubernetes}"))
            .why(format!("{} lists {} for Cilium {minor}", known.file, entry.kubernetes.join(", ")))
            .hint(format!(
                "use Kubernetes {}, or add the pair with its source to {}",
                entry.kubernetes.join(" or "),
                known.file
            ));
        diagnostics.add(problem, draft.kubernetes.line);
    }
}

fn gateway_api(diagnostics: &mut Diagnostics, draft: &Draft, cilium: &Version, entry: &CiliumMinor) {
    let Some(version) = &draft.gateway_api.value else { return };
    if entry.gateway_api.matches(version) {
        return;
    }
    let problem = Problem::new(format!("Gateway API {version} does not match Cilium {cilium}"))
        .why(format!(
            "Cilium {} needs {}; its operator checks once at start and otherwise leaves Gateway API off",
            entry.minor, entry.gateway_api
        ))
        .hint(match entry.gateway_api.comparators.first() {
            Some(least) => {
                format!("gateway_api = \"{}.{}.{}\"", least.major, least.minor.unwrap_or(0), least.patch.unwrap_or(0))
            }
            None => format!("gateway_api = \"{version}\""),
        });
    diagnostics.add(problem, draft.gateway_api.line);
}

fn unknown(what: &str, table: &str, minor: &str, known: &Compatibility) -> Problem {
    Problem::new(format!("{what} {minor} is not in {}", known.file))
        .why("an untested pair of versions fails half-way through a bootstrap")
        .hint(format!("add a [[{table}]] entry with minor = \"{minor}\" and its source to {}", known.file))
}

/// One NodePort per clustermesh-apiserver, counted up from the first.
fn node_ports(diagnostics: &mut Diagnostics, draft: &Draft) {
    let Some(first) = draft.first_node_port.value else { return };
    let count = draft.clusters.len().max(1) as i64;
    let last = first.saturating_add(count - 1);
    if NODE_PORTS.contains(&first) && NODE_PORTS.contains(&last) {
        return;
    }
    let fitting = 32379.min(NODE_PORTS.end() - (count - 1)).max(*NODE_PORTS.start());
    let problem = Problem::new(format!("the mesh's node ports are out of range: {first} to {last}"))
        .why(format!("API servers allocate {} to {}", NODE_PORTS.start(), NODE_PORTS.end()))
        .hint(format!("first_node_port = {fitting}"));
    diagnostics.add(problem, draft.first_node_port.line);
}

fn links(diagnostics: &mut Diagnostics, draft: &Draft) {
    let names: Vec<&str> = draft.clusters.iter().filter_map(|c| c.name.value.as_deref()).collect();
    let readable = names.len() == draft.clusters.len();
    let links = draft.links.value.iter().flatten();
    for (index, (a, b)) in links.clone().enumerate() {
        for end in [a, b].into_iter().filter(|end| readable && !names.contains(&end.as_str())) {
            let hint = match nearest(end, names.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("clusters: {}", names.join(", ")),
            };
            diagnostics
                .add(Problem::new(format!("a link names an unknown cluster: `{end}`")).hint(hint), draft.links.line);
        }
        if a == b {
            diagnostics.add(Problem::new(format!("a link joins a cluster to itself: `{a}`")), draft.links.line);
        }
        if links.clone().take(index).any(|(c, d)| (a, b) == (c, d) || (a, b) == (d, c)) {
            diagnostics.add(Problem::new(format!("duplicate link: `{a}` and `{b}`")), draft.links.line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_fit;

    #[test]
    fn an_image_is_a_server_release_with_cgroup_v2() {
        for image in ["22.04", "24.04", "release:24.04", "noble", "25.10"] {
            assert!(is_fit(image), "{image}");
        }
        for image in ["18.04", "20.04", "focal", "core24", "docker", "appliance:nextcloud", "24.4", "24.04-x"] {
            assert!(!is_fit(image), "{image}");
        }
    }
}
