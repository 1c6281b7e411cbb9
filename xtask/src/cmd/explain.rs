//! `explain`: which ADR and which contract check a configuration line belongs to.

use super::exit::{CmdError, CmdResult, DONE, USAGE};
use super::{Session, inputs};
use crate::cli::Format;
use contract::explain::{self, Explanation};
use contract::{Read, RenderedState};
use model::problem::{Problem, nearest};

/// Explains a key, a file, or a line of a file.
///
/// # Errors
/// Problems of the input, or a query that nothing fits.
pub fn run(session: &mut Session, query: &str) -> CmdResult {
    let inputs = inputs::load(session)?;
    let adrs = session.workspace.texts("adr").map_err(CmdError::all(USAGE))?;
    let state = RenderedState::gather(&inputs.fleet, &inputs.releases, &inputs.data, &inputs.files);
    let report = contract::check(&state.map_err(CmdError::all(USAGE))?);
    let found = explain::find(query, &inputs.data, &adrs, &report.reads);
    if found.is_empty() {
        return Err(CmdError::new(USAGE, unknown(query, inputs.data.contains_key(query), &report.reads)));
    }
    let text: String = match session.flags.format {
        Format::Text | Format::Github => found.iter().map(text).collect::<Vec<_>>().join("\n"),
        Format::Json => found.iter().map(|a| format!("{}\n", json(a))).collect(),
    };
    session.shell.screen(&text);
    Ok(DONE)
}

/// The problem of a query without a match: a file without a guarded line, a key that is misspelt.
fn unknown(query: &str, file: bool, reads: &[Read]) -> Problem {
    if file {
        return Problem::new(format!("no check of the contract reads a line of {query}"))
            .hint(format!("name one of its lines: cargo xtask explain {query}:1"));
    }
    let keys = reads.iter().map(|r| r.path.rsplit('.').next().unwrap_or(&r.path));
    let hint = match nearest(query, keys) {
        Some(near) => format!("cargo xtask explain {near}"),
        None => "cargo xtask explain deletionPolicy   # a key, a file or file:line".to_owned(),
    };
    Problem::new(format!("no key, file or line `{query}` in infra/ or charts/")).hint(hint)
}

fn text(found: &Explanation) -> String {
    let mut out = format!("{}\n  {}\n", found.at, found.line);
    if !found.comment.is_empty() {
        out.push_str(&format!("  comment {}\n", found.comment));
    }
    for (clause, rule) in &found.guards {
        out.push_str(&format!("  guard   {rule}: {}\n", clause.title()));
    }
    for record in &found.records {
        out.push_str(&format!("  adr     {record}\n"));
    }
    if found.guards.is_empty() && found.records.is_empty() {
        out.push_str("  no check of the contract reads it, and no ADR names it\n");
    }
    out
}

fn json(found: &Explanation) -> serde_json::Value {
    let Explanation { at, line, comment, guards, records } = found;
    let guards: Vec<_> =
        guards.iter().map(|(c, rule)| serde_json::json!({"clause": c.to_string(), "rule": rule})).collect();
    serde_json::json!({
        "file": at.file, "line": at.line, "text": line, "comment": comment, "guards": guards, "adrs": records,
    })
}
