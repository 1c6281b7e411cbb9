//! Versions that work together, an image that stays what it is, links and ports of the mesh.
//! Knows nothing of where a version comes from; what is known of pairs is `infra/compatibility.toml`.

use semver::Version;

use crate::fleet::Compatibility;
use crate::fleet::compatibility::CiliumMinor;
use crate::fleet::document::Notes;
use crate::fleet::draft::Draft;
use crate::fleet::nearest::nearest;
use crate::problem::Problem;

/// Names that Multipass moves to another release when Ubuntu has one.
const MOVING_IMAGES: [&str; 5] = ["lts", "ubuntu", "default", "devel", ""];

/// The ports that an API server gives to NodePort Services by default (`--service-node-port-range`).
const NODE_PORTS: std::ops::RangeInclusive<i64> = 30000..=32767;

pub(super) fn check(notes: &mut Notes, draft: &Draft, known: &Compatibility) {
    image(notes, draft);
    kubeadm(notes, draft);
    pause(notes, draft, known);
    cilium(notes, draft, known);
    node_ports(notes, draft);
    links(notes, draft);
}

fn minor(version: &Version) -> String {
    format!("{}.{}", version.major, version.minor)
}

fn image(notes: &mut Notes, draft: &Draft) {
    let Some(image) = &draft.image.value else { return };
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
    let problem = if MOVING_IMAGES.contains(&image.as_str()) || image.starts_with("daily:") {
        Problem::new(format!("`image` is a name that moves: {image:?}"))
            .why("Multipass points it at each new release, and a VM made tomorrow would differ from one made today")
    } else if image.starts_with('-') || !image.chars().all(plain) {
        Problem::new(format!("`image` is not the name of a release: {image:?}"))
    } else {
        return;
    };
    notes.add(problem.hint("image = \"24.04\""), draft.image.line);
}

fn kubeadm(notes: &mut Notes, draft: &Draft) {
    let (Some(kubeadm), Some(kubernetes)) = (&draft.kubeadm.value, &draft.kubernetes.value) else { return };
    let why = if minor(kubeadm) != minor(kubernetes) {
        "kubeadm, kubelet and Kubernetes go in one minor version"
    } else if kubernetes > kubeadm {
        "kubeadm sets up its own version or an older one"
    } else {
        return;
    };
    // Measured: `config validate` of 1.35 accepts 1.36 and 1.37, and init only warns.
    let problem = Problem::new(format!("kubeadm does not fit Kubernetes: {kubeadm} and {kubernetes}"))
        .why(format!("{why}; kubeadm itself only warns of a newer Kubernetes and then goes on"))
        .hint(format!("kubeadm = \"{kubernetes}\""));
    notes.add(problem, draft.kubeadm.line);
}

fn pause(notes: &mut Notes, draft: &Draft, known: &Compatibility) {
    let Some(kubernetes) = &draft.kubernetes.value else { return };
    let minor = minor(kubernetes);
    let Some(entry) = known.kubernetes.iter().find(|k| k.minor == minor) else {
        notes.add(unknown("Kubernetes", "kubernetes", &minor, known), draft.kubernetes.line);
        return;
    };
    if let Some(pause) = draft.pause.value.as_ref().filter(|pause| **pause != entry.pause) {
        let problem = Problem::new(format!("`pause` is not the one that kubeadm {minor} expects: {pause:?}"))
            .why(
                "kubelet and containerd must name one and the same sandbox image, or it is pulled twice and may be \
                  removed while in use",
            )
            .hint(format!("pause = \"{}\"", entry.pause));
        notes.add(problem, draft.pause.line);
    }
}

fn cilium(notes: &mut Notes, draft: &Draft, known: &Compatibility) {
    let Some(cilium) = &draft.cilium.value else { return };
    let minor = minor(cilium);
    let Some(entry) = known.cilium.iter().find(|c| c.minor == minor) else {
        notes.add(unknown("Cilium", "cilium", &minor, known), draft.cilium.line);
        return;
    };
    gateway_api(notes, draft, cilium, entry);
    let Some(kubernetes) = &draft.kubernetes.value else { return };
    if !entry.kubernetes.contains(&self::minor(kubernetes)) {
        let problem = Problem::new(format!("Cilium is not known to work with Kubernetes: {cilium} and {kubernetes}"))
            .why(format!("{} has {} for Cilium {minor}", known.file, entry.kubernetes.join(", ")))
            .hint(format!(
                "take Kubernetes {}, or add the pair with its source to {}",
                entry.kubernetes.join(" or "),
                known.file
            ));
        notes.add(problem, draft.kubernetes.line);
    }
}

fn gateway_api(notes: &mut Notes, draft: &Draft, cilium: &Version, entry: &CiliumMinor) {
    let Some(version) = &draft.gateway_api.value else { return };
    if entry.gateway_api.matches(version) {
        return;
    }
    let problem = Problem::new(format!("Gateway API does not fit Cilium: {version} and {cilium}"))
        .why(format!(
            "Cilium {} wants {}; its operator looks once at its start and then leaves Gateway API off",
            entry.minor, entry.gateway_api
        ))
        .hint(match entry.gateway_api.comparators.first() {
            Some(least) => {
                format!("gateway_api = \"{}.{}.{}\"", least.major, least.minor.unwrap_or(0), least.patch.unwrap_or(0))
            }
            None => format!("gateway_api = \"{version}\""),
        });
    notes.add(problem, draft.gateway_api.line);
}

fn unknown(what: &str, table: &str, minor: &str, known: &Compatibility) -> Problem {
    Problem::new(format!("nothing is known of {what} {minor}"))
        .why("a pair of versions that nobody has tried is found out half-way through a bootstrap")
        .hint(format!("add a [[{table}]] entry with minor = \"{minor}\" and its source to {}", known.file))
}

/// Each cluster's clustermesh-apiserver has a NodePort of its own, counted up from the first.
fn node_ports(notes: &mut Notes, draft: &Draft) {
    let Some(first) = draft.first_node_port.value else { return };
    let count = draft.clusters.len().max(1) as i64;
    let last = first.saturating_add(count - 1);
    if NODE_PORTS.contains(&first) && NODE_PORTS.contains(&last) {
        return;
    }
    let fitting = 32379.min(NODE_PORTS.end() - (count - 1)).max(*NODE_PORTS.start());
    let problem = Problem::new(format!("the mesh's node ports are out of range: {first} to {last}"))
        .why(format!("API servers give out {} to {}", NODE_PORTS.start(), NODE_PORTS.end()))
        .hint(format!("first_node_port = {fitting}"));
    notes.add(problem, draft.first_node_port.line);
}

fn links(notes: &mut Notes, draft: &Draft) {
    let names: Vec<&str> = draft.clusters.iter().filter_map(|c| c.name.value.as_deref()).collect();
    let readable = names.len() == draft.clusters.len();
    let links = draft.links.value.iter().flatten();
    for (index, (a, b)) in links.clone().enumerate() {
        for end in [a, b].into_iter().filter(|end| readable && !names.contains(&end.as_str())) {
            let hint = match nearest(end, &names) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("clusters: {}", names.join(", ")),
            };
            notes.add(
                Problem::new(format!("a link names a cluster that is not there: `{end}`")).hint(hint),
                draft.links.line,
            );
        }
        if a == b {
            notes.add(Problem::new(format!("a link joins a cluster to itself: `{a}`")), draft.links.line);
        }
        if links.clone().take(index).any(|(c, d)| (a, b) == (c, d) || (a, b) == (d, c)) {
            notes.add(Problem::new(format!("a link is there twice: `{a}` and `{b}`")), draft.links.line);
        }
    }
}
