//! Parses `Chart.yaml`, and compares the pinned version of a release with the newest one.

use std::cmp::Ordering;

use semver::Version;
use serde_json::Value;

use model::problem::Problem;
use model::release::Chart;
use model::yaml;

/// The parts of a `Chart.yaml` that are used here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartYaml {
    pub version: String,
    pub app_version: Option<String>,
    pub deprecated: bool,
    pub name: String,
    pub subcharts: Vec<Subchart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subchart {
    pub name: String,
    /// Its folder below `charts/` in the archive.
    pub folder: String,
    /// Keys of the parent chart that enable or disable it.
    pub conditions: Vec<String>,
}

/// Reads a `Chart.yaml`, as `helm show chart` prints it.
///
/// # Errors
/// It is not YAML, or has no version.
pub fn parse_chart_yaml(name: &str, text: &str) -> Result<ChartYaml, Problem> {
    let what = || Problem::new(format!("cannot read the Chart.yaml of `{name}`"));
    let documents = yaml::foreign("Chart.yaml", text).map_err(|p| what().why(p.why.unwrap_or(p.what)))?;
    let chart = documents.first().map(|d| &d.value).unwrap_or(&Value::Null);
    let version = chart["version"].as_str().ok_or_else(|| what().why("its Chart.yaml has no `version`"))?;
    let dependencies = chart["dependencies"].as_array().into_iter().flatten();
    Ok(ChartYaml {
        version: version.to_owned(),
        app_version: scalar(&chart["appVersion"]),
        deprecated: chart["deprecated"] == true,
        name: chart["name"].as_str().unwrap_or_default().to_owned(),
        subcharts: dependencies.filter_map(subchart).collect(),
    })
}

fn subchart(dependency: &Value) -> Option<Subchart> {
    let folder = dependency["name"].as_str()?.to_owned();
    let name = dependency["alias"].as_str().unwrap_or(&folder).to_owned();
    let conditions = dependency["condition"].as_str().into_iter().flat_map(|all| all.split(','));
    Some(Subchart { name, conditions: conditions.map(|key| key.trim().to_owned()).collect(), folder })
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
pub struct Comparison {
    pub release: String,
    pub pinned: String,
    pub newest: String,
    pub behind: bool,
    pub note: String,
}

/// A version that is not a semantic one is behind unless it is equal.
pub fn compare(chart: &Chart, newest: &ChartYaml) -> Comparison {
    let newest_version = newest.version.trim_start_matches('v');
    let order = match (Version::parse(&chart.version), Version::parse(newest_version)) {
        (Ok(pinned), Ok(newest)) => pinned.cmp(&newest),
        _ if chart.version == newest.version => Ordering::Equal,
        _ => Ordering::Less,
    };
    let note = match order {
        Ordering::Greater => Some("the pinned version is newer than any published".to_owned()),
        Ordering::Less => newest.app_version.as_ref().map(|app| format!("installs {app}")),
        Ordering::Equal => None,
    };
    let deprecated = newest.deprecated.then(|| "deprecated by its maintainers".to_owned());
    Comparison {
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
    fn chart_yaml_is_parsed() {
        let got = parse_chart_yaml("plain", TEXT).unwrap();
        assert_eq!((got.version.as_str(), got.app_version.as_deref(), got.deprecated), ("1.10.0", Some("9.1"), true));
        let describe = |p: &Subchart| format!("{} in {} by {}", p.name, p.folder, p.conditions.join("+"));
        assert_eq!(got.subcharts.iter().map(describe).collect::<Vec<_>>(), ["a in a by ", "b in a by b.enabled+x"]);
        assert_eq!(
            parse_chart_yaml("plain", "name: x\n").unwrap_err().why.as_deref(),
            Some("its Chart.yaml has no `version`")
        );
        assert!(parse_chart_yaml("plain", "a: [").is_err());
    }

    #[test]
    fn versions_are_compared_semantically() {
        let releases = list(LIST, &fleet());
        let compared = |version: &str| {
            compare(
                &releases.charts[1],
                &ChartYaml { version: version.into(), ..parse_chart_yaml("plain", TEXT).unwrap() },
            )
        };
        assert!(compared("1.10.0").behind && compared("1.2.3-rc.1").note.contains("newer than"));
        assert_eq!(compared("1.10.0").note, "deprecated by its maintainers; installs 9.1");
        assert_eq!(
            (compared("1.2.3").behind, compared("1.2.3").note.as_str()),
            (false, "deprecated by its maintainers")
        );
    }
}
