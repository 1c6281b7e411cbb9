//! The objects of a drill: the probe with its script in it, the workload that is made late, the pod to be refused.
//! Knows nothing of when they are used, nor of clusters: they are the same on all of them.

use serde_json::json;

use super::merge::{Derived, merge};
use super::{Data, Files, documents, from_here, text, yaml};
use model::problem::Problem;

/// The probe and its script, below `out/`.
pub const PROBE: &str = "drill/probe.yaml";
/// What is made while the platform is away.
pub const LATE: &str = "drill/late.yaml";
/// What must not be let in.
pub const REFUSED: &str = "drill/refused.yaml";
/// The object that the script goes into.
const SCRIPT: &str = "ConfigMap";

/// All three.
///
/// # Errors
/// A data file is missing or no YAML, or the script has two owners.
pub fn files(data: &Data) -> Result<Files, Vec<Problem>> {
    let script = text(data, "infra/drill/probe")?;
    let mut objects = Vec::new();
    for document in documents(data, "infra/drill/probe.yaml")? {
        let derived = Derived::new("data.probe", json!(script), from_here("drill"));
        let derived = if document.value["kind"] == SCRIPT { vec![derived] } else { vec![] };
        objects.push(merge(&document, &derived)?);
    }
    let whole = |name: &str| text(data, &format!("infra/{name}")).map(|text| (name.to_owned(), text.to_owned()));
    Ok(Files::from([(PROBE.to_owned(), yaml::write(&objects)), whole(LATE)?, whole(REFUSED)?]))
}
