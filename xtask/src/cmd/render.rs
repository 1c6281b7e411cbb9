//! `render`: writes every generated file under `out/`, or says where they differ.
//! Knows nothing of what is in them.

use super::exit::{DONE, Ended, NOT_READY, REFUSED, Stop};
use super::{Session, load, show};
use crate::ui::shell::Tone;
use crate::ui::words;
use exec::workspace::Drift;
use model::problem::Problem;
use render::Files;

/// Writes or compares.
///
/// # Errors
/// Problems of the input, or of the disk.
pub fn run(session: &mut Session, check: bool) -> Ended {
    let inputs = load::inputs(session)?;
    if check { compare(session, &inputs.files) } else { write(session, &inputs.files) }
}

fn write(session: &mut Session, files: &Files) -> Ended {
    let _lock = session.space.lock("render").map_err(Stop::with(NOT_READY))?;
    let written = session.space.write_generated(files).map_err(Stop::all(NOT_READY))?;
    let mut parts = vec![];
    if !written.changed.is_empty() {
        parts.push(format!("{} changed", written.changed.len()));
    }
    if !written.removed.is_empty() {
        parts.push(format!("{} removed", written.removed.len()));
    }
    let parts = if parts.is_empty() { "nothing changed".to_owned() } else { parts.join(", ") };
    let said = format!("{} to {}/ ({parts})", words::count(files.len(), "file"), session.out());
    session.shell.status(Tone::Good, "Rendered", &said);
    Ok(DONE)
}

fn compare(session: &mut Session, files: &Files) -> Ended {
    let drifts = session.space.compare_generated(files).map_err(Stop::all(NOT_READY))?;
    if drifts.is_empty() {
        let said = format!("{} in {}/, all as rendered", words::count(files.len(), "file"), session.out());
        session.shell.status(Tone::Good, "Checked", &said);
        return Ok(DONE);
    }
    show(session, &[problem(&session.out(), &drifts)]);
    Ok(REFUSED)
}

fn problem(out: &str, drifts: &[Drift]) -> Problem {
    let row = |drift: &Drift| match drift {
        Drift::Missing(path) => format!("missing  {out}/{path}"),
        Drift::Differs(path) => format!("differs  {out}/{path}"),
        Drift::Stale(path) => format!("stale    {out}/{path}"),
    };
    let are = if drifts.len() == 1 { "is" } else { "are" };
    Problem::new(format!("{} {are} not as rendered", words::count(drifts.len(), "generated file")))
        .why(drifts.iter().map(row).collect::<Vec<_>>().join("\n"))
        .hint("cargo xtask render")
}
