//! Finds images without a fixed tag, and releases without a note on arm64 in the list (ADR-0020).

use crate::rendered::Workload;
use model::problem::Problem;
use model::release::{Chart, RELEASES, Releases};

/// A problem for a release without a note that its images exist for arm64: half of the machines have Apple Silicon.
pub fn missing_arm64_note(releases: &Releases, chart: &Chart) -> Option<Problem> {
    let name = &chart.placement.name;
    chart.arm64.as_ref().is_none_or(|note| note.trim().is_empty()).then(|| {
        Problem::new(format!("no note that the images of `{name}` exist for arm64"))
            .at(RELEASES, releases.line(name))
            .why("VMs on Apple Silicon run arm64 only")
            .hint("arm64 = \"where this is documented\"")
    })
}

/// A problem for each image without a fixed tag or digest.
pub fn unpinned(release: &str, file: &str, workloads: &[Workload]) -> Vec<Problem> {
    let images = workloads.iter().flat_map(|w| w.containers().map(|(_, c)| c["image"].as_str().unwrap_or_default()));
    let mut unpinned: Vec<&str> = images.filter(|image| !is_fixed(image)).collect();
    unpinned.sort_unstable();
    unpinned.dedup();
    let problem = |image: &str| {
        Problem::new(format!("an image of `{release}` has no fixed tag: `{image}`"))
            .at(file, None)
            .why("its contents can change under the same name")
    };
    unpinned.into_iter().map(problem).collect()
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
    fn images_without_a_fixed_tag_are_reported() {
        for image in ["a/b:1.2", "host:5000/a:v1", "a@sha256:00", "a:latest@sha256:00"] {
            assert!(is_fixed(image), "{image}");
        }
        for image in ["", "a", "a:latest", "host:5000/a", "a:"] {
            assert!(!is_fixed(image), "{image}");
        }
        let object = json!({"kind": "Pod", "metadata": {"name": "p"}, "spec": {
            "containers": [{"image": "a"}, {"image": "b:1"}], "initContainers": [{"image": "a"}]}});
        let problems = unpinned("x", "x.yaml", &[workload(&object, "n").unwrap()]);
        assert_eq!(
            problems.iter().map(|p| p.what.as_str()).collect::<Vec<_>>(),
            ["an image of `x` has no fixed tag: `a`"]
        );
    }

    #[test]
    fn release_without_a_note_is_reported() {
        let releases = list(LIST, &fleet());
        let at = missing_arm64_note(&releases, &releases.charts[0]).unwrap().at.unwrap();
        assert_eq!(at.to_string(), "charts/releases.toml:3");
        assert_eq!(missing_arm64_note(&releases, &releases.charts[1]), None);
    }
}
