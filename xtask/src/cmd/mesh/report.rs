//! Prints the diagnosis of a mesh, the most likely cause, and figures of connected clusters.

use serde_json::{Map, Value, json};

use super::super::exit::{DONE, FAILED};
use super::super::{Session, run_plan, show};
use crate::cli::Format;
use crate::ui::format;
use crate::ui::shell::Severity;
use mesh::{CHECKS, Finding};
use model::fleet::Fleet;
use model::problem::Problem;
use plan::mesh::{MeshScope, figures, pairs};

pub(super) fn diagnosed(session: &mut Session, found: &[Finding]) -> u8 {
    if session.flags.format == Format::Json {
        let one = |f: &Finding| {
            let Problem { what, why, hint, .. } = &f.problem;
            json!({ "check": f.check, "cluster": f.cluster, "what": what, "why": why, "hint": hint })
        };
        let event = json!({ "event": "diagnosed", "findings": found.iter().map(one).collect::<Vec<_>>() });
        session.shell.event(event);
    }
    for check in CHECKS {
        let of: Vec<&str> = found.iter().filter(|f| f.check == check).map(|f| f.problem.what.as_str()).collect();
        let (severity, result) = if of.is_empty() {
            (Severity::Success, "no problems".to_owned())
        } else {
            (Severity::Error, of.join("; "))
        };
        session.shell.status(severity, "Checked", &format!("{check}: {result}"));
    }
    cause(session, found);
    if found.is_empty() {
        session.shell.status(Severity::Success, "Diagnosed", "no problems found; the mesh matches the fleet");
        DONE
    } else {
        FAILED
    }
}

/// The first finding is the most likely cause: checks are in the order in which causes hide each other.
pub(super) fn cause(session: &mut Session, found: &[Finding]) {
    let Some(first) = found.first() else { return };
    let problem = Problem { what: format!("most likely cause: {}", first.problem.what), ..first.problem.clone() };
    show(session, &[problem]);
}

/// Prints the connected clusters with the figures of this run.
pub(super) fn connected(session: &mut Session, fleet: &Fleet, scope: &MeshScope) {
    let facts = run_plan::facts(session);
    let links = pairs(fleet, scope).len();
    let figures_of = |cluster| {
        let read = figures(fleet, scope, cluster).into_iter();
        let known: Vec<(String, &str)> = read.filter_map(|(fact, of)| Some((facts.get(&fact)?.clone(), of))).collect();
        (!known.is_empty()).then_some((cluster.name.clone(), known))
    };
    let all: Vec<_> = fleet.clusters.iter().filter(|c| scope.has(c)).filter_map(figures_of).collect();
    if session.flags.format == Format::Json {
        let figures = |known: &[(String, &str)]| -> Value {
            known.iter().map(|(value, of)| ((*of).to_owned(), number(value))).collect::<Map<_, _>>().into()
        };
        let clusters: Map<String, Value> = all.iter().map(|(name, known)| (name.clone(), figures(known))).collect();
        let event = json!({ "event": "mesh", "clusters": scope.clusters, "links": links, "figures": clusters });
        session.shell.event(event);
    }
    for (name, known) in &all {
        let parts: Vec<String> = known.iter().map(|(value, of)| figure(value, of)).collect();
        session.shell.status(Severity::Dim, "Received", &format!("from {name}: {}", parts.join(", ")));
    }
    let what = format!("{}: {}", super::names(&scope.clusters), format::count(links, "link"));
    session.shell.status(Severity::Success, "Connected", &what);
}

/// A count, or the status of a condition: `True`.
fn number(value: &str) -> Value {
    value.parse::<u64>().map_or_else(|_| (value == "True").into(), Value::from)
}

fn figure(value: &str, of: &str) -> String {
    if value == "True" { of.to_owned() } else { format!("{value} {of}") }
}
