//! `up`: bootstrap, mesh-connect and verify-contract --live, one after another.

use serde_json::json;

use super::exit::{CmdResult, DONE, INTERRUPTED};
use super::{Session, bootstrap, inputs, mesh, show, verify_contract, warn_deferred};
use crate::cli::{Format, VerifyContract};
use crate::ui::shell::{self, Severity};
use ::plan::mesh::{MeshScope, pairs};
use model::fleet::Role;

type Part = (&'static str, fn(&mut Session) -> CmdResult);

const PARTS: [Part; 3] = [
    ("bootstrap", bootstrap::run),
    ("mesh-connect", |session| mesh::run(session, mesh::Options::default())),
    ("verify-contract --live", |session| verify_contract::run(session, &VerifyContract::live())),
];

/// Runs the parts until one fails, whose exit code is the result. A fleet without links has no mesh to connect, one
/// without app clusters nothing to judge.
///
/// # Errors
/// Problems of the input.
pub fn run(session: &mut Session) -> CmdResult {
    let fleet = inputs::load(session)?.fleet;
    let linked = !pairs(&fleet, &MeshScope::all(&fleet)).is_empty();
    let judged = fleet.clusters.iter().any(|cluster| cluster.role == Role::Workload);
    let has = |name: &str| match name {
        "mesh-connect" => linked,
        "verify-contract --live" => judged,
        _ => true,
    };
    let parts: Vec<Part> = PARTS.into_iter().filter(|(name, _)| has(name)).collect();
    let of = parts.len();
    for (number, (name, part)) in (1..).zip(parts) {
        session.shell.status(Severity::Hint, "Part", &format!("{number} of {of}: {name}"));
        event(session, name, (number, of), None);
        let code = part(session).unwrap_or_else(|error| {
            show(session, &error.problems);
            error.code
        });
        warn_deferred(session);
        event(session, name, (number, of), Some(code));
        if code != DONE {
            let verb = if code == INTERRUPTED { "Stopped" } else { "Failed" };
            let rest = format!("up: part {number} of {of}, {name}; to continue: {}", session.invocation);
            session.shell.message(&shell::status_line(session.shell.style(), Severity::Error, verb, &rest));
            return Ok(code);
        }
    }
    Ok(DONE)
}

fn event(session: &mut Session, name: &str, (number, of): (usize, usize), exit: Option<u8>) {
    if session.flags.format == Format::Json {
        session.shell.event(json!({ "event": "part", "name": name, "number": number, "of": of, "exit": exit }));
    }
}
