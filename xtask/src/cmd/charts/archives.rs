//! Compares archives with the list of releases, and our values with the keys that their charts have.

use serde_json::Value;

use super::super::exit::CmdError;
use super::super::inputs::Inputs;
use super::super::query;
use super::LIMIT;
use charts::outdated::{ChartYaml, Subchart, parse_chart_yaml};
use charts::verify::keys::{self, ChartValues};
use model::problem::Problem;
use model::release::{Chart, RELEASES};
use model::yaml::{self, Document};
use tool::{Output, World, helm, tar};

/// Charts whose archives can be read and match the list, and all problems of archives and keys.
pub fn compare<'a>(
    world: &mut dyn World,
    inputs: &Inputs,
    charts: &[&'a Chart],
) -> Result<(Vec<&'a Chart>, Vec<Problem>), CmdError> {
    let questions: Vec<_> = charts.iter().flat_map(|c| [helm::values_of(&path(c)), helm::chart_of(&path(c))]).collect();
    let answers = query::commands(world, &questions, LIMIT)?;
    let (mut good, mut problems) = (Vec::new(), Vec::new());
    for (chart, answer) in charts.iter().zip(answers.chunks(2)) {
        match read_archive(inputs, chart, answer) {
            Ok(metadata) => good.push((*chart, metadata, answer[0].stdout.as_str())),
            Err(problem) => problems.push(problem),
        }
    }
    for (chart, metadata, text) in &good {
        let subcharts = subcharts(world, inputs, chart, metadata)?;
        problems
            .extend(unknown_keys(inputs, chart, metadata, text, &subcharts).unwrap_or_else(|problem| vec![problem]));
    }
    Ok((good.into_iter().map(|(chart, ..)| chart).collect(), problems))
}

fn path(chart: &Chart) -> String {
    format!("out/charts/{}", chart.archive())
}

/// The `Chart.yaml` of an archive, if it is the chart in the list.
fn read_archive(inputs: &Inputs, chart: &Chart, answers: &[Output]) -> Result<ChartYaml, Problem> {
    let (name, path) = (&chart.placement.name, path(chart));
    let problem = |what: String, why: String| {
        Problem::new(what)
            .at(RELEASES, inputs.releases.line(name))
            .why(why)
            .hint(format!("rm {path} && cargo xtask charts pull"))
    };
    let broken = |why: String| problem(format!("the archive of `{name}` cannot be read: `{path}`"), why);
    if let Some(bad) = answers.iter().find(|answer| !answer.ok() || answer.cut) {
        return Err(broken(if bad.cut { "too long to read".into() } else { query::reason(bad) }));
    }
    let about = parse_chart_yaml(&chart.chart, &answers[1].stdout)
        .map_err(|problem| broken(problem.why.unwrap_or(problem.what)))?;
    if about.name == chart.chart && about.version.trim_start_matches('v') == chart.version.trim_start_matches('v') {
        return Ok(about);
    }
    let what = format!("the archive of `{name}` is another chart: `{path}`");
    Err(problem(what, format!("it contains {} {}, not {} {}", about.name, about.version, chart.chart, chart.version)))
}

/// A subchart with its values.
struct SubchartValues<'a> {
    subchart: &'a Subchart,
    text: String,
    values: Document,
    subcharts: Vec<String>,
}

/// Subcharts for which we have values. Helm does not show theirs, so they are read from the archive; one that cannot be
/// read is not checked.
fn subcharts<'a>(
    world: &mut dyn World,
    inputs: &Inputs,
    chart: &Chart,
    metadata: &'a ChartYaml,
) -> Result<Vec<SubchartValues<'a>>, CmdError> {
    let written = inputs.data.get(&file(chart)).map_or("", String::as_str);
    let has_values = |part: &&Subchart| {
        let set = |key: &String| key.split('.').next() == Some(part.name.as_str());
        chart.bindings.keys().any(set) || written.lines().any(|line| line.starts_with(&format!("{}:", part.name)))
    };
    let parts: Vec<&Subchart> = metadata.subcharts.iter().filter(has_values).collect();
    let member = |part: &Subchart, name: &str| format!("{}/charts/{}/{name}", chart.chart, part.folder);
    let files =
        |part: &&Subchart| ["values.yaml", "Chart.yaml"].map(|name| tar::print(&path(chart), &member(part, name)));
    let answers = query::commands(world, &parts.iter().flat_map(files).collect::<Vec<_>>(), LIMIT)?;
    let read = |(subchart, answer): (&'a Subchart, &[Output])| {
        let (text, chart_yaml) = (answer[0].ok().then(|| answer[0].stdout.clone())?, &answer[1].stdout);
        let values = yaml::foreign("values.yaml", &text).ok()?.into_iter().next()?;
        let metadata = parse_chart_yaml(&subchart.name, chart_yaml).ok();
        Some(SubchartValues { subchart, text, values, subcharts: metadata.map_or(vec![], |m| names(&m)) })
    };
    Ok(parts.into_iter().zip(answers.chunks(2)).filter_map(read).collect())
}

fn names(metadata: &ChartYaml) -> Vec<String> {
    metadata.subcharts.iter().map(|subchart| subchart.name.clone()).collect()
}

fn file(chart: &Chart) -> String {
    format!("charts/{}/values.yaml", chart.placement.name)
}

/// Problems for our keys that neither the chart nor a subchart has.
fn unknown_keys(
    inputs: &Inputs,
    chart: &Chart,
    metadata: &ChartYaml,
    text: &str,
    subcharts: &[SubchartValues<'_>],
) -> Result<Vec<Problem>, Problem> {
    let file = file(chart);
    let offered = yaml::foreign(&format!("values of {}", chart.archive()), text)?;
    let written = yaml::foreign(&file, inputs.data.get(&file).map_or("", String::as_str))?;
    let (Some(values), Some(written)) = (offered.first(), written.first()) else { return Ok(vec![]) };
    let whole = ChartValues { text, values, subcharts: &names(metadata), conditions: &[], prefix: &[] };
    let mut problems = keys::unknown_keys(&inputs.releases, chart, written, &whole);
    for SubchartValues { subchart, text, values: own, subcharts } in subcharts {
        let mut values = own.clone();
        merge(&mut values.value, &offered[0].value[&subchart.name]);
        let prefix = [subchart.name.clone()];
        let conditions = &subchart.conditions;
        let whole = ChartValues { text, values: &values, subcharts, conditions, prefix: &prefix };
        problems.extend(keys::unknown_keys(&inputs.releases, chart, written, &whole));
    }
    Ok(problems)
}

/// Adds the parent chart's values of the subchart.
fn merge(values: &mut Value, more: &Value) {
    let (Some(values), Some(more)) = (values.as_object_mut(), more.as_object()) else { return };
    for (key, value) in more {
        match values.get_mut(key) {
            Some(own) => merge(own, value),
            None => drop(values.insert(key.clone(), value.clone())),
        }
    }
}
