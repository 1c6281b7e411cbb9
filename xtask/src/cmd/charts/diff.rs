//! `charts diff`: what an `apply` of entries of the list of releases would change on their clusters.

use serde_json::{Value, json};

use super::super::exit::{CmdError, CmdResult, DONE, FAILED, USAGE};
use super::super::inputs::{self, Inputs};
use super::super::{Session, query};
use super::require_helm;
use crate::cli::Format;
use crate::ui::shell::Severity;
use charts::changes::changes;
use charts::rendered::objects;
use model::problem::{Problem, nearest};
use model::release::RELEASES;
use model::release::apps::APPS;
use plan::survey::{Answer, Answers};
use plan::{Expect, Plan, Step, StepKey, bootstrap, choose};
use render::mesh;
use tool::World;
use tool::helm::{Helm, Release};

/// Probes of a chart: what it would be, and what it is.
const RENDERED: &str = "rendered";
const INSTALLED: &str = "installed";

/// # Errors
/// Every name that the list of releases does not have.
pub fn known(inputs: &Inputs, names: &[String]) -> Result<(), CmdError> {
    let all: Vec<&str> = inputs.releases.names().collect();
    let is = |entry: &str, name: &str| entry.split_once('/').map_or(entry, |(app, _)| app) == name || entry == name;
    let unknown = names.iter().filter(|name| !all.iter().any(|entry| is(entry, name)));
    let gitops = inputs.fleet.gitops.repository.as_deref();
    let problem = |name: &String| {
        if let Some(repository) =
            gitops.filter(|_| inputs.data.keys().any(|f| f.starts_with(&format!("{APPS}/{name}/"))))
        {
            let problem = Problem::new(format!("Argo CD delivers `{name}`, from {repository}"));
            return problem
                .at(&inputs.fleet.file, inputs.fleet.lines.get("gitops.repository").copied())
                .why("an object has one owner: what is applied beside it would be undone by the next sync")
                .hint(format!("git push   # after a commit of {APPS}/{name}; or remove `repository` from [gitops]"));
        }
        let problem = Problem::new(format!("no release `{name}`")).at(RELEASES, None);
        problem.hint(match nearest(name, all.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", all.join(", ")),
        })
    };
    let problems: Vec<Problem> = unknown.map(problem).collect();
    if problems.is_empty() { Ok(()) } else { Err(CmdError { code: USAGE, problems }) }
}

/// # Errors
/// A cluster or Helm has no answer.
pub fn run(session: &mut Session, world: &mut dyn World, inputs: &Inputs, names: &[String]) -> CmdResult {
    known(inputs, names)?;
    require_helm(session, world, inputs)?;
    let plan = inputs.bootstrap(query::helm(world)?);
    show(
        session,
        world,
        inputs,
        &choose::of_releases(&plan, names, &inputs::selected_clusters(session, &inputs.fleet)?),
    )?;
    Ok(DONE)
}

/// Prints what differs for each entry and cluster of a plan of `apply`.
///
/// # Errors
/// A cluster or Helm has no answer.
pub fn show(session: &mut Session, world: &mut dyn World, inputs: &Inputs, plan: &Plan) -> Result<(), CmdError> {
    let answers = query::check(session, world, &questions(inputs, plan))?.answers;
    for step in plan.steps.iter().filter(|step| matches!(step.id.scope(), plan::Scope::Cluster(_))) {
        let (cluster, name) = (step.id.scope().name(), step.id.action());
        let lines = match inputs.releases.chart(name) {
            Some(_) => of_chart(&answers, &step.id)?,
            None if inputs.releases.manifest(name).is_some() => of_manifest(&answers, &step.id)?,
            None => continue,
        };
        if session.flags.format == Format::Json {
            session.shell.event(json!({ "event": "diff", "cluster": cluster, "release": name, "lines": lines }));
        } else if lines.is_empty() {
            session.shell.status(
                Severity::Dim,
                "Unchanged",
                &format!("{name} on {cluster}: every object as installed"),
            );
        } else {
            session.shell.result(&format!("{name} on {cluster}\n  {}\n", lines.join("\n  ")));
        }
    }
    Ok(())
}

/// For charts two questions each, for manifests the probe of their step, which is a `kubectl diff`.
fn questions(inputs: &Inputs, plan: &Plan) -> Plan {
    let ask = |step: &Step| {
        let cluster = inputs.fleet.clusters.iter().find(|cluster| cluster.name == step.id.scope().name())?;
        let name = step.id.action();
        if inputs.releases.manifest(name).is_some() {
            return Some(vec![Step::new(step.id.clone(), "compare", step.done_when.ask.clone(), Expect::Exit(0))]);
        }
        let chart = inputs.releases.chart(name)?;
        let kubeconfig = bootstrap::kube_path(cluster);
        let release = Release { chart, cluster: &cluster.name, kubeconfig: &kubeconfig, helm: Helm::V4 };
        let values = format!("{}/{name}/values.yaml", cluster.name);
        let wanted = release.planned(&format!("out/charts/{}", chart.archive()), &values, name == mesh::RELEASE);
        let step = |what: &str, ask| Step::new(part(&step.id, what), what, ask, Expect::Exit(0));
        Some(vec![step(RENDERED, wanted), step(INSTALLED, release.manifest())])
    };
    let steps = plan.steps.iter().filter_map(ask).flatten().collect();
    Plan { name: "diff", steps, ..plan.clone() }
}

fn part(id: &StepKey, what: &str) -> StepKey {
    format!("{id}/{what}").as_str().into()
}

fn of_chart(answers: &Answers, id: &StepKey) -> Result<Vec<String>, CmdError> {
    let read = |text: &str| objects(id.as_str(), text).map_err(CmdError::with(FAILED));
    let rendered = answers.get(&part(id, RENDERED)).ok_or_else(|| unanswered(id, None))?;
    let manifest = match &rendered.output {
        Some(output) if output.ok() => serde_json::from_str::<Value>(&output.stdout).unwrap_or_default(),
        _ => return Err(unanswered(id, Some(rendered))),
    };
    let wanted = read(manifest["manifest"].as_str().unwrap_or_default())?;
    let installed = match answers.get(&part(id, INSTALLED)).and_then(|answer| answer.output.as_ref()) {
        Some(output) if output.ok() => read(&output.stdout)?,
        Some(output) if output.stderr.contains("release: not found") => vec![],
        _ => return Err(unanswered(id, answers.get(&part(id, INSTALLED)))),
    };
    Ok(changes(&installed, &wanted))
}

/// The lines of `kubectl diff`: its headers and context are left out.
fn of_manifest(answers: &Answers, id: &StepKey) -> Result<Vec<String>, CmdError> {
    let answer = answers.get(id);
    let Some(output) = answer.and_then(|answer| answer.output.as_ref()).filter(|output| output.stderr.is_empty())
    else {
        return Err(unanswered(id, answer));
    };
    let changed = |line: &&str| line.starts_with(['+', '-']) && !line.starts_with("+++ ") && !line.starts_with("--- ");
    Ok(output.stdout.lines().filter(changed).map(str::to_owned).collect())
}

fn unanswered(id: &StepKey, answer: Option<&Answer>) -> CmdError {
    let problem = Problem::new(format!("{id} cannot be compared with what is installed"));
    let why = match answer.map(|answer| (&answer.output, &answer.state)) {
        Some((Some(output), _)) => query::reason(output),
        Some((None, state)) => format!("{state:?}"),
        None => "there is no answer".to_owned(),
    };
    CmdError::new(FAILED, problem.why(why).hint("cargo xtask status"))
}
