//! C1: with the platform gone, workloads of app clusters keep running and keep answering.
//! Knows nothing of how references are found.

use std::collections::BTreeSet;

use super::case::Case;
use super::evidence::Evidence;
use super::references::{Class, Reference};

/// Judges every reference, and that there is a workload which a drill can watch.
pub(super) fn judge(evidence: &Evidence, references: &[Reference], case: &mut Case) {
    case.rule("references");
    for reference in references {
        case.reference(reference);
    }
    say(evidence, references, case);
    case.rule("witness");
    for ground in evidence.apps() {
        let Some(sample) = ground.objects("Deployment").find(|d| d.word("metadata.name") == "sample") else {
            let hint = "give the app clusters the manifest `sample` in charts/releases.toml";
            case.missing(ground, "sample", "a workload that shows whether the cluster serves", "nothing", hint);
            continue;
        };
        let replicas = case.text(sample, "spec.replicas").and_then(|r| r.parse::<u32>().ok()).unwrap_or(1);
        if replicas < 2 {
            let got = format!("{replicas} replica");
            let hint = "replicas: 2; a drill kills one and goes on asking";
            case.breach(ground, sample, "spec.replicas", "two replicas of the sample workload", got, hint);
        }
    }
}

fn say(evidence: &Evidence, references: &[Reference], case: &mut Case) {
    let number = |class| references.iter().filter(|r| r.class == class).count();
    let counts: Vec<String> = Class::ALL.iter().map(|class| format!("{} {}", number(*class), class.word())).collect();
    let apps: Vec<&str> = evidence.apps().map(|g| g.name.as_str()).collect();
    let values: usize = evidence.apps().map(|g| g.sheets.len() + g.texts.len()).sum();
    case.headline(format!("{} references to the platform: {}", references.len(), counts.join(", ")));
    case.figure("app clusters", apps.join(", "));
    case.figure("documents walked", values.to_string());
    for class in Class::ALL {
        case.figure(&format!("references, {}", class.word()), number(class).to_string());
    }
    let told: BTreeSet<String> = references.iter().map(|r| told(references, r)).collect();
    for line in told {
        case.because(line);
    }
    case.because(match evidence.rendering {
        Some(_) => "every object that the charts render was walked, too; what a controller makes the live tier sees",
        None => "charts were not rendered: what one adds on its own is seen once `out/charts` is pulled, or live",
    });
}

/// `promtail -> monitoring/loki: buffered, lines wait … (app1, app2; charts/promtail/values.yaml:53)`.
fn told(all: &[Reference], one: &Reference) -> String {
    let same = |r: &&Reference| (&r.subject, &r.to, &r.at) == (&one.subject, &one.to, &one.at);
    let clusters: BTreeSet<&str> = all.iter().filter(same).map(|r| r.cluster.as_str()).collect();
    let clusters: Vec<&str> = clusters.into_iter().collect();
    let Reference { subject, to, class, why, at, .. } = one;
    format!("{subject} -> {to}: {}; {why} ({}; {at})", class.word(), clusters.join(", "))
}
