//! Runs a plan that installs releases: first their archives, then a check of all values against them, then the rest.
//! `apply` runs it for single ones.

use std::collections::BTreeSet;

use std::time::Duration;

use super::charts::{diff, typos};
use super::exit::{CmdResult, INTERRUPTED};
use super::inputs::{self, Inputs};
use super::run_plan::{self, First};
use super::{Session, download_help, dry_run, preflight_help, query, show, warn_deferred, world_factory};
use crate::ui::shell::Severity;
use model::problem::Problem;
use model::release::Source;
use plan::engine::Failure;
use plan::{Plan, Scope, choose};
use tool::World;
use tool::helm::Helm;

/// Between two looks at the input files of `--watch`; a change counts once two looks see the same.
const LOOK: Duration = Duration::from_millis(300);

/// `apply NAME…`: the steps of `bootstrap` for these entries, after what differs has been printed.
///
/// # Errors
/// Problems of the input, an unknown name, or the machine. With `watch` they are printed, and the next change goes on.
pub fn releases(session: &mut Session, names: &[String], watch: bool) -> CmdResult {
    if !watch {
        return once(session, names);
    }
    loop {
        let seen = session.workspace.data();
        let code = once(session, names).unwrap_or_else(|error| {
            show(session, &error.problems);
            error.code
        });
        warn_deferred(session);
        if code == INTERRUPTED {
            return Ok(code);
        }
        let code = world_factory::with_world(session, None, &Plan::default(), &mut |session, world| {
            session.shell.status(Severity::Hint, "Watching", "the input files; Ctrl-C ends it");
            let mut last = seen.clone();
            while world.hold(world.now() + LOOK) {
                let now = session.workspace.data();
                if now == last && now != seen {
                    return Ok(super::exit::DONE);
                }
                last = now;
            }
            Ok(INTERRUPTED)
        })?;
        if code == INTERRUPTED {
            return Ok(code);
        }
    }
}

fn once(session: &mut Session, names: &[String]) -> CmdResult {
    let inputs = inputs::load(session)?;
    diff::known(&inputs, names)?;
    let clusters = inputs::selected_clusters(session, &inputs.fleet)?;
    world_factory::with_world(session, Some("apply"), &inputs.bootstrap(Helm::V4), &mut |session, world| {
        let plan = choose::of_releases(&inputs.bootstrap(query::helm(world)?), names, &clusters);
        if session.flags.dry_run {
            return dry_run::run(session, world, &inputs, &plan);
        }
        let check = &mut |session: &mut Session, world: &mut dyn World| {
            typos::check_values(session, world, &inputs, &plan, BTreeSet::new())?;
            // What has no answer now is asked again by its step, which says more.
            match diff::show(session, world, &inputs, &plan) {
                Err(error) if error.code == INTERRUPTED => Err(error),
                Err(error) => {
                    let what = error.problems.first().map_or("", |problem| &problem.what);
                    session.shell.status(Severity::Warning, "Warning", what);
                    Ok(())
                }
                Ok(()) => Ok(()),
            }
        };
        run_plan::run_after(session, world, &plan, Some(First { scope: Scope::Charts, check }), &|failure| {
            explain_failure(&inputs, failure)
        })
    })
}

/// An unreachable chart server, a digest mismatch, an unknown key, a value that Helm cannot render: each is reported before
/// any change, also on the first run (ADR-0011).
pub fn run(session: &mut Session, world: &mut dyn World, inputs: &Inputs, plan: &Plan) -> CmdResult {
    let checked = typos::check_values(session, world, inputs, plan, BTreeSet::new())?;
    let check = &mut |session: &mut Session, world: &mut dyn World| {
        typos::check_values(session, world, inputs, plan, checked.clone()).map(drop)
    };
    run_plan::run_after(session, world, plan, Some(First { scope: Scope::Charts, check }), &|failure| {
        explain_failure(inputs, failure)
    })
}

/// Problems of the inputs behind a failure: the machine is too small, an archive cannot be downloaded.
pub fn explain_failure(inputs: &Inputs, failure: &Failure) -> Vec<Problem> {
    [
        preflight_help::explain_failure(&inputs.fleet, failure),
        download_help::explain_failure(&inputs.releases, failure),
        denied(inputs, failure).into_iter().collect(),
    ]
    .concat()
}

/// An example that passes every policy.
const EXAMPLE: &str = "docs/examples/hello/hello.yaml";

/// A policy of Kyverno denies what a manifest creates.
fn denied(inputs: &Inputs, failure: &Failure) -> Option<Problem> {
    let Source::File(file) = &inputs.releases.manifest(failure.step.action())?.source else { return None };
    let (_, told) = failure.output.stderr.split_once("denied the request: Policy ")?;
    let (policy, why) = told.lines().next()?.split_once(" failed: ")?;
    let cluster = failure.step.scope().name();
    let problem = Problem::new(format!("policy `{policy}` denies `{}` on {cluster}", failure.step.action()));
    let why = format!("{why}\nthe policies: infra/manifests/policies.yaml");
    Some(problem.at(file, None).why(why).hint(format!("diff {EXAMPLE} {file}   # {EXAMPLE} passes")))
}
