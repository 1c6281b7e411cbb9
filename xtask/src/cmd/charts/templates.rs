//! Releases as real Helm renders them, each for each of its clusters.
//! Knows nothing of what is done with what comes out.

use super::super::ask;
use super::super::exit::Stop;
use super::super::load::Inputs;
use super::{LIMIT, digest};
use crate::charts::rendered::{Rendered, objects};
use crate::charts::verify::sampled;
use crate::fleet::Cluster;
use crate::problem::Problem;
use crate::release::Chart;
use crate::tools::helm;
use crate::world::World;

/// A release on a cluster: its objects, or why there are none.
pub struct Template<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The release.
    pub chart: &'a Chart,
    /// What Helm rendered, or a problem with the values file that Helm refused.
    pub objects: Result<Vec<Rendered>, Problem>,
}

/// The releases whose archives are in `out/charts`, and those whose are not.
///
/// # Errors
/// The user said stop.
pub fn present<'a>(
    world: &mut dyn World,
    charts: impl Iterator<Item = &'a Chart>,
) -> Result<(Vec<&'a Chart>, Vec<&'a Chart>), Stop> {
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
) -> Result<Vec<Template<'a>>, Stop> {
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
    let answers = ask::all(world, &pairs.iter().map(question).collect::<Vec<_>>(), LIMIT)?;
    let template = |((cluster, chart), output): ((&'a Cluster, &'a Chart), &crate::tools::Output)| {
        let name = &chart.placement.name;
        let refused = |why: String| {
            let file = format!("charts/{name}/values.yaml");
            Problem::new(format!("helm cannot render `{name}` for {}", cluster.name)).at(file, None).why(why)
        };
        let objects = match output {
            cut if cut.cut => Err(refused("too long to read".into())),
            good if good.ok() => objects(name, &good.stdout).map_err(|p| refused(p.why.unwrap_or(p.what))),
            bad => Err(refused(ask::reason(bad))),
        };
        Template { cluster, chart, objects }
    };
    Ok(pairs.into_iter().zip(&answers).map(template).collect())
}

/// The values that Helm is fed on a cluster.
pub fn values<'a>(inputs: &'a Inputs, cluster: &Cluster, chart: &Chart) -> &'a str {
    let file = format!("{}/{}/values.yaml", cluster.name, chart.placement.name);
    inputs.files.get(&file).map_or("", String::as_str)
}
