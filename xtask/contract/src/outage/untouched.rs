//! C1: neither the platform's absence nor its return changes what a workload is told to be.
//! Knows nothing of who could have changed it; one Deployment stands for all.

use super::super::{Clause, Finding};
use super::{Court, Said};

/// The workload is the same object, in the same generation: nobody has changed what it wants.
pub(super) fn judge(court: &Court<'_>, said: &Said, when: &str) -> Option<Finding> {
    let got = match (&court.app.before.workload, &said.workload) {
        (Some(before), Some(now)) if before == now => return None,
        (Some(_), None) => "it is gone".to_owned(),
        (None, _) => "nobody said what it was before".to_owned(),
        (Some(before), Some(now)) => format!("from generation {} to {}", generation(before), generation(now)),
    };
    let want = format!("the same Deployment {when}");
    let hint = court.look("--namespace sample get deployment sample --output yaml --show-managed-fields");
    Some(court.breach((Clause::C1, "untouched"), "replicas", "Deployment/sample", [want, got, hint]))
}

/// What stands behind the identity.
fn generation(said: &str) -> &str {
    said.split_whitespace().nth(1).unwrap_or("none")
}
