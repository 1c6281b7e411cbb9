//! What the pulled charts render, added to the rendered state; nothing where none is pulled.

use super::super::charts::templates::{self, Template};
use super::super::charts::{LIMIT, refuse_mismatches};
use super::super::exit::{CmdError, DONE, FAILED};
use super::super::inputs::Inputs;
use super::super::{Session, query, world_factory};
use contract::RenderedState;
use model::release::Chart;
use plan::bootstrap;
use tool::World;
use tool::helm;

/// Renders every release whose archive is in `out/charts`, if there is a Helm. Where nothing is pulled no process is
/// started. The simulator has charts of its own, which render nothing.
///
/// # Errors
/// An archive does not match its digest, Helm refuses a chart, or the run was interrupted.
pub fn add(session: &mut Session, inputs: &Inputs, state: &mut RenderedState) -> Result<(), CmdError> {
    let pulled = |chart: &&Chart| session.workspace.exists(&format!("{}/charts/{}", session.out(), chart.archive()));
    let charts: Vec<&Chart> = inputs.releases.charts.iter().filter(pulled).collect();
    if charts.is_empty() || session.flags.simulate {
        return Ok(());
    }
    let offered = bootstrap::downloads(&inputs.fleet, &inputs.releases);
    let done = world_factory::with_world(session, None, &offered, &mut |_, world| {
        let Some(version) = version(world)? else { return Ok(DONE) };
        refuse_mismatches(world, &inputs.releases)?;
        let templates = templates::render(world, inputs, &charts, &|_, _| true)?;
        let problems = templates::render_problems(inputs, &templates);
        for Template { cluster, chart, objects } in templates {
            objects.into_iter().for_each(|objects| state.add(&cluster.name, chart, objects));
        }
        if let Some(rendering) = &mut state.rendering {
            rendering.helm.clone_from(&version);
            rendering.of = inputs.releases.charts.len();
        }
        if problems.is_empty() { Ok(DONE) } else { Err(CmdError { code: FAILED, problems }) }
    });
    done.map(|_| ())
}

/// The Helm that would render, as it calls itself; `None` without one.
fn version(world: &mut dyn World) -> Result<Option<String>, CmdError> {
    let answer = query::command(world, helm::version(), LIMIT)?;
    Ok(answer.ok().then(|| answer.stdout.trim().to_owned()).filter(|version| !version.is_empty()))
}
