//! `explain`: which ADR and which contract check a configuration line belongs to.

use super::exit::{CmdError, CmdResult, DONE, USAGE};
use super::{Session, load};
use crate::cli::Format;
use contract::why::{self, Answer};
use contract::{self, Evidence, Read};
use model::problem::{Problem, nearest};

/// Answers.
///
/// # Errors
/// Problems of the input, or a query that nothing fits.
pub fn run(session: &mut Session, query: &str) -> CmdResult {
    let inputs = load::inputs(session)?;
    let adrs = session.workspace.texts("adr").map_err(CmdError::all(USAGE))?;
    let evidence = Evidence::gather(&inputs.fleet, &inputs.releases, &inputs.data, &inputs.files);
    let report = contract::check(&evidence.map_err(CmdError::all(USAGE))?);
    let answers = why::ask(query, &inputs.data, &adrs, &report.reads);
    if answers.is_empty() {
        return Err(CmdError::new(USAGE, unknown(query, inputs.data.contains_key(query), &report.reads)));
    }
    let text: String = match session.flags.format {
        Format::Text => answers.iter().map(text).collect::<Vec<_>>().join("\n"),
        Format::Json => answers.iter().map(|a| format!("{}\n", json(a))).collect(),
    };
    session.shell.result(&text);
    Ok(DONE)
}

/// What to say of a word that leads nowhere: a file without a guarded line, a key that is misspelt.
fn unknown(query: &str, file: bool, reads: &[Read]) -> Problem {
    if file {
        return Problem::new(format!("no check of the contract reads a line of {query}"))
            .hint(format!("ask for one of its lines: cargo xtask explain {query}:1"));
    }
    let keys = reads.iter().map(|r| r.path.rsplit('.').next().unwrap_or(&r.path));
    let hint = match nearest(query, keys) {
        Some(near) => format!("cargo xtask explain {near}"),
        None => "cargo xtask explain deletionPolicy   # a key, a file or file:line".to_owned(),
    };
    Problem::new(format!("nothing in infra/ or charts/ is called `{query}`")).hint(hint)
}

fn text(answer: &Answer) -> String {
    let mut out = format!("{}\n  {}\n", answer.at, answer.line);
    if !answer.comment.is_empty() {
        out.push_str(&format!("  says    {}\n", answer.comment));
    }
    for (clause, rule) in &answer.guards {
        out.push_str(&format!("  guard   {rule}: {}\n", clause.says()));
    }
    for record in &answer.records {
        out.push_str(&format!("  record  {record}\n"));
    }
    if answer.guards.is_empty() && answer.records.is_empty() {
        out.push_str("  no check of the contract reads it, and no record names it\n");
    }
    out
}

fn json(answer: &Answer) -> serde_json::Value {
    let Answer { at, line, comment, guards, records } = answer;
    let guards: Vec<_> =
        guards.iter().map(|(c, rule)| serde_json::json!({"check": c.to_string(), "rule": rule})).collect();
    serde_json::json!({
        "file": at.file, "line": at.line, "text": line, "says": comment, "guards": guards, "records": records,
    })
}
