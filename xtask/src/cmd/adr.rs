//! `adr list`, `adr new`, `adr check`.

use super::Session;
use super::exit::{CmdError, CmdResult, DONE, USAGE};
use crate::cli::{Adr, Format};
use crate::ui::format;
use crate::ui::shell::Severity;
use contract::adr::{self, Record};
use contract::{Clause, adr_links};
use exec::workspace::clock;
use render::Data;

const FOLDER: &str = "adr";

/// # Errors
/// Records that are invalid or cannot be read.
pub fn run(session: &mut Session, command: &Adr) -> CmdResult {
    let texts = session.workspace.texts(FOLDER).map_err(CmdError::all(USAGE))?;
    match command {
        Adr::List => list(session, &texts),
        Adr::New { title } => new(session, &texts, title),
        Adr::Check => check(session, &texts),
    }
}

fn records(session: &Session, texts: &Data) -> Result<Vec<Record>, CmdError> {
    adr::check(texts, &|path| session.workspace.exists(path)).map_err(CmdError::all(USAGE))
}

fn list(session: &mut Session, texts: &Data) -> CmdResult {
    let records = records(session, texts)?;
    let text = match session.flags.format {
        Format::Text | Format::Github => table(&records),
        Format::Json => records.iter().map(|r| format!("{}\n", json(r))).collect(),
    };
    session.shell.screen(&text);
    Ok(DONE)
}

fn table(records: &[Record]) -> String {
    let wide = records.iter().map(|r| r.status.len()).max().unwrap_or(0);
    let row = |r: &Record| {
        let checks = r.checks.join(" ");
        format!("{:04}  {}  {:wide$}  {checks:5}  {}\n", r.number, r.date, r.status, r.title)
    };
    records.iter().map(row).collect()
}

fn json(record: &Record) -> serde_json::Value {
    let Record { number, title, status, date, checks, file } = record;
    serde_json::json!({
        "number": number, "title": title, "status": status, "date": date, "checks": checks, "file": file,
    })
}

fn new(session: &mut Session, texts: &Data, title: &str) -> CmdResult {
    let now = clock::now();
    let day = now.split('T').next().unwrap_or_default();
    let (file, text) = adr::draft(adr::next(texts), title, day).map_err(CmdError::with(USAGE))?;
    session.workspace.create(&file, &text).map_err(CmdError::with(USAGE))?;
    session.shell.status(Severity::Success, "Created", "a draft record");
    session.shell.result(&format!("{file}\n"));
    Ok(DONE)
}

fn check(session: &mut Session, texts: &Data) -> CmdResult {
    let records = records(session, texts)?;
    let broken = adr_links::check(&records);
    if !broken.is_empty() {
        return Err(CmdError { code: USAGE, problems: broken });
    }
    let (number, clauses) = (format::count(records.len(), "record"), format::count(Clause::all().count(), "clause"));
    let summary = format!("{number} in {FOLDER}/, {clauses} linked");
    session.shell.status(Severity::Success, "Checked", &summary);
    Ok(DONE)
}
