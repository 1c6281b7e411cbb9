//! Reads the tables in `data/`, each once per process.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::argv::Flag;
use crate::catalog::Chart;

/// By way of JSON, so that the types need a reader of one format alone.
fn read<T: DeserializeOwned>(text: &str) -> T {
    let value: Value = toml::from_str(text).expect("bug: a table of the simulator is not TOML");
    serde_json::from_value(value).expect("bug: a table of the simulator has an unknown field")
}

/// See `data/tools.toml`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ToolTable {
    pub exit: i32,
    #[serde(default)]
    pub unknown_flag: String,
    #[serde(default)]
    pub missing_value: String,
    pub latency_ms: u64,
    #[serde(default)]
    pub latency_ms_of: BTreeMap<String, u64>,
    /// By subcommand; `global` ones belong to each.
    #[serde(default)]
    pub flags: BTreeMap<String, Flags>,
}

#[derive(Debug, Deserialize)]
#[serde(from = "String")]
pub struct Flags(pub Vec<Flag>);

impl From<String> for Flags {
    fn from(text: String) -> Self {
        Flags(text.split_ascii_whitespace().map(Flag::parse).collect())
    }
}

pub fn tool(program: &str) -> Option<&'static ToolTable> {
    static TOOLS: OnceLock<BTreeMap<String, ToolTable>> = OnceLock::new();
    TOOLS.get_or_init(|| read(include_str!("../data/tools.toml"))).get(program)
}

pub fn charts() -> &'static BTreeMap<String, Chart> {
    static CHARTS: OnceLock<BTreeMap<String, Chart>> = OnceLock::new();
    CHARTS.get_or_init(|| {
        let mut charts: BTreeMap<String, Chart> = read(include_str!("../data/charts.toml"));
        charts.iter_mut().for_each(|(name, chart)| chart.name.clone_from(name));
        charts
    })
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
