//! Reads the tables in `data/`, each once per process.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// By way of JSON, so that the types need a reader of one format alone.
pub fn read<T: DeserializeOwned>(text: &str) -> T {
    let value: Value = toml::from_str(text).expect("bug: a table of the simulator is not TOML");
    serde_json::from_value(value).expect("bug: a table of the simulator has an unknown field")
}

/// By apiVersion and kind: see `data/kinds.toml`.
pub fn kinds() -> &'static BTreeMap<String, BTreeMap<String, String>> {
    static KINDS: OnceLock<BTreeMap<String, BTreeMap<String, String>>> = OnceLock::new();
    KINDS.get_or_init(|| read(include_str!("../data/kinds.toml")))
}

/// The keys of a type of kubeadm's or the kubelet's configuration, with the type of the value, if it has one.
pub fn fields(kind: &str) -> Option<&'static BTreeMap<String, String>> {
    static FIELDS: OnceLock<BTreeMap<String, BTreeMap<String, String>>> = OnceLock::new();
    let split =
        |field: &str| field.split_once(':').map_or((field.to_owned(), String::new()), |(f, t)| (f.into(), t.into()));
    let all = FIELDS.get_or_init(|| {
        let text: BTreeMap<String, String> = read(include_str!("../data/kubeadm_fields.toml"));
        let fields = |fields: String| fields.split_ascii_whitespace().map(split).collect();
        text.into_iter().map(|(kind, all)| (kind, fields(all))).collect()
    });
    all.get(kind)
}
