//! `render`: writes every generated file under `out/`, or lists the differences.

use super::exit::{CmdError, CmdResult, DONE, FAILED, PRECONDITION};
use super::{Session, inputs, show};
use crate::ui::format;
use crate::ui::shell::Severity;
use exec::workspace::Drift;
use model::problem::Problem;
use render::Files;

/// # Errors
/// Problems of the input, or of the disk.
pub fn run(session: &mut Session, check: bool) -> CmdResult {
    let inputs = inputs::load(session)?;
    if check { compare(session, &inputs.files) } else { write(session, &inputs.files) }
}

fn write(session: &mut Session, files: &Files) -> CmdResult {
    let _lock = session.workspace.lock("render").map_err(CmdError::with(PRECONDITION))?;
    let written = session.workspace.write_generated(files).map_err(CmdError::all(PRECONDITION))?;
    let mut parts = vec![];
    if !written.changed.is_empty() {
        parts.push(format!("{} changed", written.changed.len()));
    }
    if !written.removed.is_empty() {
        parts.push(format!("{} removed", written.removed.len()));
    }
    let parts = if parts.is_empty() { "nothing changed".to_owned() } else { parts.join(", ") };
    let summary = format!("{} to {}/ ({parts})", format::count(files.len(), "file"), session.out());
    session.shell.status(Severity::Success, "Rendered", &summary);
    Ok(DONE)
}

fn compare(session: &mut Session, files: &Files) -> CmdResult {
    let drifts = session.workspace.compare_generated(files).map_err(CmdError::all(PRECONDITION))?;
    if drifts.is_empty() {
        let summary = format!("{} in {}/, all up to date", format::count(files.len(), "file"), session.out());
        session.shell.status(Severity::Success, "Checked", &summary);
        return Ok(DONE);
    }
    show(session, &[problem(&session.out(), &drifts)]);
    Ok(FAILED)
}

fn problem(out: &str, drifts: &[Drift]) -> Problem {
    let row = |drift: &Drift| match drift {
        Drift::Missing(path) => format!("missing  {out}/{path}"),
        Drift::Differs(path) => format!("differs  {out}/{path}"),
        Drift::Stale(path) => format!("stale    {out}/{path}"),
    };
    let are = if drifts.len() == 1 { "is" } else { "are" };
    Problem::new(format!("{} {are} out of date", format::count(drifts.len(), "generated file")))
        .why(drifts.iter().map(row).collect::<Vec<_>>().join("\n"))
        .hint("cargo xtask render")
}
