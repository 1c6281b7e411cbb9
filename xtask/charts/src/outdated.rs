//! What `Chart.yaml` says, and how the pinned version of a release stands to the newest one.
//! Knows nothing of where the text comes from.

use std::cmp::Ordering;

use semver::Version;
use serde_json::Value;

use model::problem::Problem;
use model::release::Chart;
use model::yaml;

/// A chart as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its version.
    pub version: String,
    /// Version of what it installs, if it says so.
    pub app_version: Option<String>,
    /// Whether its makers want it to be used no more.
    pub deprecated: bool,
    /// Its name.
    pub name: String,
    /// Charts inside of it.
    pub parts: Vec<Part>,
}

/// A chart inside of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// As the values of the chart around it name it.
    pub name: String,
    /// Its folder below `charts/` in the archive.
    pub folder: String,
    /// Keys of the chart around it that switch it on or off.
    pub switches: Vec<String>,
}

/// Reads a `Chart.yaml`, as `helm show chart` prints it.
///
/// # Errors
/// It is not YAML, or has no version.
pub fn about(name: &str, text: &str) -> Result<About, Problem> {
    let what = || Problem::new(format!("cannot read what `{name}` says of itself"));
    let documents = yaml::foreign("Chart.yaml", text).map_err(|p| what().why(p.why.unwrap_or(p.what)))?;
    let chart = documents.first().map(|d| &d.value).unwrap_or(&Value::Null);
    let version = chart["version"].as_str().ok_or_else(|| what().why("its Chart.yaml has no `version`"))?;
    let parts = chart["dependencies"].as_array().into_iter().flatten();
    Ok(About {
        version: version.to_owned(),
        app_version: scalar(&chart["appVersion"]),
        deprecated: chart["deprecated"] == true,
        name: chart["name"].as_str().unwrap_or_default().to_owned(),
        parts: parts.filter_map(part).collect(),
    })
}

fn part(dependency: &Value) -> Option<Part> {
    let folder = dependency["name"].as_str()?.to_owned();
    let name = dependency["alias"].as_str().unwrap_or(&folder).to_owned();
    let switches = dependency["condition"].as_str().into_iter().flat_map(|all| all.split(','));
    Some(Part { name, switches: switches.map(|key| key.trim().to_owned()).collect(), folder })
}

/// `appVersion: 1.10` without quotes is a number to YAML.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A release and the newest version of its chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The release.
    pub release: String,
    /// What the list pins.
    pub pinned: String,
    /// The newest that is published.
    pub newest: String,
    /// Whether the newest is newer than the pinned one.
    pub behind: bool,
    /// What else there is to say.
    pub note: String,
}

/// Compares. A version that is no semantic one is told apart only by its text.
pub fn row(chart: &Chart, newest: &About) -> Row {
    let order = match (Version::parse(&chart.version), Version::parse(newest.version.trim_start_matches('v'))) {
        (Ok(pinned), Ok(newest)) => pinned.cmp(&newest),
        _ if chart.version == newest.version => Ordering::Equal,
        _ => Ordering::Less,
    };
    let note = match order {
        Ordering::Greater => Some("the pinned one is newer than what is published".to_owned()),
        Ordering::Less => newest.app_version.as_ref().map(|app| format!("installs {app}")),
        Ordering::Equal => None,
    };
    let deprecated = newest.deprecated.then(|| "deprecated by its makers".to_owned());
    Row {
        release: chart.placement.name.clone(),
        pinned: chart.version.clone(),
        newest: newest.version.clone(),
        behind: order == Ordering::Less,
        note: deprecated.into_iter().chain(note).collect::<Vec<_>>().join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::samples::{LIST, fleet, list};

    const TEXT: &str = "apiVersion: v2\nname: plain\nversion: 1.10.0\nappVersion: 9.1\ndependencies:\n- name: a\n\
                        - alias: b\n  name: a\n  condition: b.enabled, x\ndeprecated: true\n";

    #[test]
    fn a_chart_describes_itself() {
        let got = about("plain", TEXT).unwrap();
        assert_eq!((got.version.as_str(), got.app_version.as_deref(), got.deprecated), ("1.10.0", Some("9.1"), true));
        let told = |p: &Part| format!("{} in {} by {}", p.name, p.folder, p.switches.join("+"));
        assert_eq!(got.parts.iter().map(told).collect::<Vec<_>>(), ["a in a by ", "b in a by b.enabled+x"]);
        assert_eq!(about("plain", "name: x\n").unwrap_err().why.as_deref(), Some("its Chart.yaml has no `version`"));
        assert!(about("plain", "a: [").is_err());
    }

    #[test]
    fn versions_are_compared_as_versions() {
        let releases = list(LIST, &fleet());
        let row = |version: &str| {
            row(&releases.charts[1], &About { version: version.into(), ..about("plain", TEXT).unwrap() })
        };
        assert!(row("1.10.0").behind && row("1.2.3-rc.1").note.contains("newer than"));
        assert_eq!(row("1.10.0").note, "deprecated by its makers; installs 9.1");
        assert_eq!((row("1.2.3").behind, row("1.2.3").note.as_str()), (false, "deprecated by its makers"));
    }
}
