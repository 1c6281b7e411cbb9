//! Objects of a drill: the probe with its script, the workload created during the outage, the pod to be denied.

use serde_json::json;

use model::yaml;

use super::merge::{Derived, merge};
use super::{Data, Files, documents, from_module, text};
use model::problem::Problem;

/// Below `out/`.
pub const PROBE: &str = "drill/probe.yaml";
pub const LATE: &str = "drill/late.yaml";
pub const REFUSED: &str = "drill/refused.yaml";
const SCRIPT: &str = "ConfigMap";

/// # Errors
/// A data file is missing or no YAML, or the script has two owners.
pub fn files(data: &Data) -> Result<Files, Vec<Problem>> {
    let script = text(data, "infra/drill/probe")?;
    let mut objects = Vec::new();
    for document in documents(data, "infra/drill/probe.yaml")? {
        let derived = Derived::new("data.probe", json!(script), from_module("drill"));
        let derived = if document.value["kind"] == SCRIPT { vec![derived] } else { vec![] };
        objects.push(merge(&document, &derived)?);
    }
    let whole = |name: &str| text(data, &format!("infra/{name}")).map(|text| (name.to_owned(), text.to_owned()));
    Ok(Files::from([(PROBE.to_owned(), yaml::write(&objects)), whole(LATE)?, whole(REFUSED)?]))
}
