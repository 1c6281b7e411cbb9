//! Images: those that may move under their name, and releases of which nobody has said that they run on arm64.
//! Knows nothing of registries; what exists for which machine is a note in the list (ADR-0020).

use crate::rendered::Workload;
use model::problem::Problem;
use model::release::RELEASES;
use model::release::{Chart, Releases};

/// A problem for a release without a note that its images exist for arm64: half of the machines are Apple's.
pub fn arm64(releases: &Releases, chart: &Chart) -> Option<Problem> {
    let name = &chart.placement.name;
    let said = chart.arm64.as_ref().is_some_and(|note| !note.trim().is_empty());
    (!said).then(|| {
        Problem::new(format!("nothing says that the images of `{name}` exist for arm64"))
            .at(RELEASES, releases.lines.get(name).copied())
            .why("VMs on Apple Silicon run nothing else")
            .hint("arm64 = \"where it is written\"")
    })
}

/// A problem for each image without a fixed tag or digest, once.
pub fn moving(release: &str, file: &str, workloads: &[Workload]) -> Vec<Problem> {
    let images = workloads.iter().flat_map(|w| w.containers().map(|(_, c)| c["image"].as_str().unwrap_or_default()));
    let mut moving: Vec<&str> = images.filter(|image| !is_fixed(image)).collect();
    moving.sort_unstable();
    moving.dedup();
    let problem = |image: &str| {
        Problem::new(format!("an image of `{release}` has no fixed tag: `{image}`"))
            .at(file, None)
            .why("another one could be pulled tomorrow under the same name")
    };
    moving.into_iter().map(problem).collect()
}

/// `repository:tag` with a tag other than `latest`, or with a digest.
fn is_fixed(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    image.contains("@sha256:") || name.split_once(':').is_some_and(|(_, tag)| !tag.is_empty() && tag != "latest")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rendered::workload;
    use model::samples::{LIST, fleet, list};
    use serde_json::json;

    #[test]
    fn a_tag_must_be_there_and_stay() {
        for image in ["a/b:1.2", "host:5000/a:v1", "a@sha256:00", "a:latest@sha256:00"] {
            assert!(is_fixed(image), "{image}");
        }
        for image in ["", "a", "a:latest", "host:5000/a", "a:"] {
            assert!(!is_fixed(image), "{image}");
        }
        let object = json!({"kind": "Pod", "metadata": {"name": "p"}, "spec": {
            "containers": [{"image": "a"}, {"image": "b:1"}], "initContainers": [{"image": "a"}]}});
        let problems = moving("x", "x.yaml", &[workload(&object, "n").unwrap()]);
        assert_eq!(
            problems.iter().map(|p| p.what.as_str()).collect::<Vec<_>>(),
            ["an image of `x` has no fixed tag: `a`"]
        );
    }

    #[test]
    fn a_release_needs_a_note() {
        let releases = list(LIST, &fleet());
        let at = arm64(&releases, &releases.charts[0]).unwrap().at.unwrap();
        assert_eq!(at.to_string(), "charts/releases.toml:3");
        assert_eq!(arm64(&releases, &releases.charts[1]), None);
    }
}
