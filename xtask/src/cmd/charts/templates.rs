//! Renders releases with the real Helm, for each of their clusters.

use super::super::exit::CmdError;
use super::super::inputs::Inputs;
use super::super::query;
use super::{LIMIT, digest};
use charts::rendered::{Rendered, objects};
use charts::verify::with_samples;
use model::fleet::Cluster;
use model::problem::Problem;
use model::release::Chart;
use model::yaml::{self, Document};
use tool::{World, helm};

/// A release on a cluster: its objects, or the error of Helm.
pub struct Template<'a> {
    pub cluster: &'a Cluster,
    pub chart: &'a Chart,
    pub objects: Result<Vec<Rendered>, String>,
}

/// The releases with an archive in `out/charts`, and those without.
pub fn present<'a>(
    world: &mut dyn World,
    charts: impl Iterator<Item = &'a Chart>,
) -> Result<(Vec<&'a Chart>, Vec<&'a Chart>), CmdError> {
    let (mut present, mut missing) = (Vec::new(), Vec::new());
    for chart in charts {
        match digest(world, &chart.archive())? {
            Some(_) => present.push(chart),
            None => missing.push(chart),
        }
    }
    Ok((present, missing))
}

/// Renders each of these releases for each wanted cluster.
pub fn render<'a>(
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
    let command = |(cluster, chart): &(&Cluster, &Chart)| {
        let values = with_samples(values(inputs, cluster, chart));
        helm::template(chart, &format!("out/charts/{}", chart.archive()), &kubernetes, &values)
    };
    let answers = query::commands(world, &pairs.iter().map(command).collect::<Vec<_>>(), LIMIT)?;
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

/// A problem for each release and reason for which Helm failed, with all its clusters.
pub fn render_problems(inputs: &Inputs, templates: &[Template<'_>]) -> Vec<Problem> {
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
        let line = our_values(inputs, &file).and_then(|values| schema_error_line(&values, why));
        Problem::new(format!("helm cannot render `{}` for {}", chart.placement.name, clusters.join(", ")))
            .at(file, line)
            .why(why)
    };
    all.into_iter().map(problem).collect()
}

/// A values file of ours.
pub fn our_values(inputs: &Inputs, file: &str) -> Option<Document> {
    yaml::foreign(file, inputs.data.get(file)?).ok()?.into_iter().next()
}

/// The line of the first value in a schema error: `- at '/a/b': got string, want integer`.
fn schema_error_line(values: &Document, why: &str) -> Option<usize> {
    let paths = why.lines().filter_map(|line| line.strip_prefix("- at '/")?.split_once('\''));
    let path =
        |pointer: &str| pointer.split('/').map(|key| key.replace("~1", "/").replace("~0", "~")).collect::<Vec<_>>();
    paths.map(|(pointer, _)| path(pointer)).find_map(|path| values.lines.get(&path[..]).copied())
}

/// The generated values of a release on a cluster.
pub fn values<'a>(inputs: &'a Inputs, cluster: &Cluster, chart: &Chart) -> &'a str {
    let file = format!("{}/{}/values.yaml", cluster.name, chart.placement.name);
    inputs.files.get(&file).map_or("", String::as_str)
}
