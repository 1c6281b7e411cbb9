//! Releases as real Helm renders them, each for each of its clusters.
//! Knows nothing of what is done with what comes out.

use super::super::exit::CmdError;
use super::super::load::Inputs;
use super::super::query;
use super::{LIMIT, digest};
use charts::rendered::{Rendered, objects};
use charts::verify::sampled;
use model::fleet::Cluster;
use model::problem::Problem;
use model::release::Chart;
use model::yaml::{self, Document};
use tool::World;
use tool::helm;

/// A release on a cluster: its objects, or why there are none.
pub struct Template<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The release.
    pub chart: &'a Chart,
    /// What Helm rendered, or why it did not.
    pub objects: Result<Vec<Rendered>, String>,
}

/// The releases whose archives are in `out/charts`, and those whose are not.
///
/// # Errors
/// The user said stop.
pub fn present<'a>(
    world: &mut dyn World,
    charts: impl Iterator<Item = &'a Chart>,
) -> Result<(Vec<&'a Chart>, Vec<&'a Chart>), CmdError> {
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for chart in charts {
        match digest(world, &chart.archive())? {
            Some(_) => there.push(chart),
            None => missing.push(chart),
        }
    }
    Ok((there, missing))
}

/// Renders each of these releases for each of its clusters that is wanted.
///
/// # Errors
/// The user said stop.
pub fn all<'a>(
    world: &mut dyn World,
    inputs: &'a Inputs,
    charts: &[&'a Chart],
    wanted: &dyn Fn(&Cluster, &Chart) -> bool,
) -> Result<Vec<Template<'a>>, CmdError> {
    let kubernetes = inputs.fleet.versions.kubernetes.to_string();
    let clusters = inputs.fleet.clusters.iter();
    let pairs: Vec<(&Cluster, &Chart)> = clusters
        .flat_map(|cluster| charts.iter().map(move |chart| (cluster, *chart)))
        .filter(|(cluster, chart)| chart.placement.clusters.contains(&cluster.role) && wanted(cluster, chart))
        .collect();
    let question = |(cluster, chart): &(&Cluster, &Chart)| {
        let values = sampled(values(inputs, cluster, chart));
        helm::template(chart, &format!("out/charts/{}", chart.archive()), &kubernetes, &values)
    };
    let answers = query::commands(world, &pairs.iter().map(question).collect::<Vec<_>>(), LIMIT)?;
    let template = |((cluster, chart), output): ((&'a Cluster, &'a Chart), &tool::Output)| {
        let objects = match output {
            cut if cut.cut => Err("too long to read".into()),
            good if good.ok() => {
                objects(&chart.placement.name, &good.stdout).map_err(|problem| problem.why.unwrap_or(problem.what))
            }
            bad => Err(query::reason(bad)),
        };
        Template { cluster, chart, objects }
    };
    Ok(pairs.into_iter().zip(&answers).map(template).collect())
}

/// A problem for each release that Helm refused and each reason: one values file is wrong on every cluster.
pub fn refused(inputs: &Inputs, templates: &[Template<'_>]) -> Vec<Problem> {
    let mut all: Vec<(&Chart, &String, Vec<&str>)> = Vec::new();
    for Template { cluster, chart, objects } in templates {
        let Err(why) = objects else { continue };
        match all.iter_mut().find(|(of, reason, _)| of.placement.name == chart.placement.name && *reason == why) {
            Some((.., clusters)) => clusters.push(&cluster.name),
            None => all.push((chart, why, vec![&cluster.name])),
        }
    }
    let problem = |(chart, why, clusters): (&Chart, &String, Vec<&str>)| {
        let file = format!("charts/{}/values.yaml", chart.placement.name);
        let line = written(inputs, &file).and_then(|values| pointed(&values, why));
        Problem::new(format!("helm cannot render `{}` for {}", chart.placement.name, clusters.join(", ")))
            .at(file, line)
            .why(why)
    };
    all.into_iter().map(problem).collect()
}

/// A values file as it is written.
pub fn written(inputs: &Inputs, file: &str) -> Option<Document> {
    yaml::foreign(file, inputs.data.get(file)?).ok()?.into_iter().next()
}

/// The line of the first of our values that a schema does not take: `- at '/a/b': got string, want integer`.
fn pointed(values: &Document, why: &str) -> Option<usize> {
    let paths = why.lines().filter_map(|line| line.strip_prefix("- at '/")?.split_once('\''));
    let path =
        |pointer: &str| pointer.split('/').map(|key| key.replace("~1", "/").replace("~0", "~")).collect::<Vec<_>>();
    paths.map(|(pointer, _)| path(pointer)).find_map(|path| values.lines.get(&path[..]).copied())
}

/// The values that Helm is fed on a cluster.
pub fn values<'a>(inputs: &'a Inputs, cluster: &Cluster, chart: &Chart) -> &'a str {
    let file = format!("{}/{}/values.yaml", cluster.name, chart.placement.name);
    inputs.files.get(&file).map_or("", String::as_str)
}
