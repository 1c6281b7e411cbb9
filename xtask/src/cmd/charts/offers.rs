//! What each archive says of itself and offers as values, beside what the list and our values say.
//! Knows nothing of what is rendered from them.

use serde_json::Value;

use super::super::exit::CmdError;
use super::super::load::Inputs;
use super::super::query;
use super::LIMIT;
use charts::outdated::{About, Part, about};
use charts::verify::keys::{self, Offer};
use model::problem::Problem;
use model::release::Chart;
use model::release::RELEASES;
use model::yaml::{self, Document};
use tool::World;
use tool::{Output, helm, tar};

/// Charts whose archives can be read and hold what the list says, and all problems of archives and keys.
///
/// # Errors
/// The user said stop.
pub fn compare<'a>(
    world: &mut dyn World,
    inputs: &Inputs,
    charts: &[&'a Chart],
) -> Result<(Vec<&'a Chart>, Vec<Problem>), CmdError> {
    let questions: Vec<_> = charts.iter().flat_map(|c| [helm::values_of(&path(c)), helm::chart_of(&path(c))]).collect();
    let answers = query::commands(world, &questions, LIMIT)?;
    let (mut sound, mut problems) = (Vec::new(), Vec::new());
    for (chart, answer) in charts.iter().zip(answers.chunks(2)) {
        match opened(inputs, chart, answer) {
            Ok(about) => sound.push((*chart, about, answer[0].stdout.as_str())),
            Err(problem) => problems.push(problem),
        }
    }
    for (chart, about, text) in &sound {
        let parts = inside(world, inputs, chart, about)?;
        problems.extend(strange(inputs, chart, about, text, &parts).unwrap_or_else(|problem| vec![problem]));
    }
    Ok((sound.into_iter().map(|(chart, ..)| chart).collect(), problems))
}

fn path(chart: &Chart) -> String {
    format!("out/charts/{}", chart.archive())
}

/// What an archive says of itself, if it is the chart that the list names.
fn opened(inputs: &Inputs, chart: &Chart, answers: &[Output]) -> Result<About, Problem> {
    let (name, path) = (&chart.placement.name, path(chart));
    let problem = |what: String, why: String| {
        Problem::new(what)
            .at(RELEASES, inputs.releases.lines.get(name).copied())
            .why(why)
            .hint(format!("rm {path} && cargo xtask charts pull"))
    };
    let broken = |why: String| problem(format!("the archive of `{name}` cannot be read: `{path}`"), why);
    if let Some(bad) = answers.iter().find(|answer| !answer.ok() || answer.cut) {
        return Err(broken(if bad.cut { "too long to read".into() } else { query::reason(bad) }));
    }
    let about =
        about(&chart.chart, &answers[1].stdout).map_err(|problem| broken(problem.why.unwrap_or(problem.what)))?;
    if about.name == chart.chart && about.version.trim_start_matches('v') == chart.version.trim_start_matches('v') {
        return Ok(about);
    }
    let what = format!("the archive of `{name}` is another chart: `{path}`");
    Err(problem(what, format!("it holds {} {}, not {} {}", about.name, about.version, chart.chart, chart.version)))
}

/// A chart inside of a chart, as far as its files can be read.
struct Inside<'a> {
    part: &'a Part,
    text: String,
    values: Document,
    parts: Vec<String>,
}

/// Those of the charts inside that our values speak to. Helm does not show their values, so they are read from the
/// archive; what cannot be read is not looked into.
fn inside<'a>(
    world: &mut dyn World,
    inputs: &Inputs,
    chart: &Chart,
    about: &'a About,
) -> Result<Vec<Inside<'a>>, CmdError> {
    let written = inputs.data.get(&file(chart)).map_or("", String::as_str);
    let spoken = |part: &&Part| {
        let set = |key: &String| key.split('.').next() == Some(part.name.as_str());
        chart.bindings.keys().any(set) || written.lines().any(|line| line.starts_with(&format!("{}:", part.name)))
    };
    let parts: Vec<&Part> = about.parts.iter().filter(spoken).collect();
    let member = |part: &Part, name: &str| format!("{}/charts/{}/{name}", chart.chart, part.folder);
    let ask_for =
        |part: &&Part| ["values.yaml", "Chart.yaml"].map(|name| tar::print(&path(chart), &member(part, name)));
    let answers = query::commands(world, &parts.iter().flat_map(ask_for).collect::<Vec<_>>(), LIMIT)?;
    let read = |(part, answer): (&'a Part, &[Output])| {
        let (text, said) = (answer[0].ok().then(|| answer[0].stdout.clone())?, &answer[1].stdout);
        let values = yaml::foreign("values.yaml", &text).ok()?.into_iter().next()?;
        let parts = about_parts(&part.name, said);
        Some(Inside { part, text, values, parts })
    };
    Ok(parts.into_iter().zip(answers.chunks(2)).filter_map(read).collect())
}

fn about_parts(name: &str, said: &str) -> Vec<String> {
    about(name, said).map_or(vec![], |about| about.parts.into_iter().map(|part| part.name).collect())
}

fn file(chart: &Chart) -> String {
    format!("charts/{}/values.yaml", chart.placement.name)
}

/// Keys of ours that neither the chart nor one inside of it has.
fn strange(
    inputs: &Inputs,
    chart: &Chart,
    about: &About,
    text: &str,
    inside: &[Inside<'_>],
) -> Result<Vec<Problem>, Problem> {
    let file = file(chart);
    let offered = yaml::foreign(&format!("values of {}", chart.archive()), text)?;
    let written = yaml::foreign(&file, inputs.data.get(&file).map_or("", String::as_str))?;
    let (Some(values), Some(written)) = (offered.first(), written.first()) else { return Ok(vec![]) };
    let parts: Vec<String> = about.parts.iter().map(|part| part.name.clone()).collect();
    let whole = Offer { text, values, parts: &parts, switches: &[], within: &[] };
    let mut problems = keys::unknown(&inputs.releases, chart, written, &whole);
    for Inside { part, text, values: own, parts } in inside {
        let mut values = own.clone();
        fill(&mut values.value, &values_of(&offered[0].value, &part.name));
        let within = [part.name.clone()];
        let offer = Offer { text, values: &values, parts, switches: &part.switches, within: &within };
        problems.extend(keys::unknown(&inputs.releases, chart, written, &offer));
    }
    Ok(problems)
}

fn values_of(around: &Value, part: &str) -> Value {
    around.get(part).cloned().unwrap_or(Value::Null)
}

/// Adds what the chart around says of the one inside.
fn fill(values: &mut Value, more: &Value) {
    let (Some(values), Some(more)) = (values.as_object_mut(), more.as_object()) else { return };
    for (key, value) in more {
        match values.get_mut(key) {
            Some(there) => fill(there, value),
            None => drop(values.insert(key.clone(), value.clone())),
        }
    }
}
