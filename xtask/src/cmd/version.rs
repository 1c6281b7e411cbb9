//! `version`: this program, its commit, and the versions that the fleet pins.

use serde_json::json;

use super::exit::{CmdResult, DONE};
use super::git::Git;
use super::{Session, inputs};
use crate::cli::Format;
use crate::ui::table::table;
use model::release::Chart;

/// # Errors
/// Problems of the input.
pub fn run(session: &mut Session) -> CmdResult {
    let inputs = inputs::load(session)?;
    let version = env!("CARGO_PKG_VERSION");
    let commit = Git::at(session.workspace.root(), "HEAD").ok().map(|git| git.commit);
    let pins = &inputs.fleet.versions;
    let charts: Vec<(&str, &str)> =
        inputs.releases.charts.iter().map(|c: &Chart| (&*c.placement.name, &*c.version)).collect();
    if session.flags.format == Format::Json {
        let charts: serde_json::Map<_, _> = charts.iter().map(|(name, v)| ((*name).to_owned(), json!(v))).collect();
        session.shell.event(json!({ "event": "version", "version": version, "commit": commit,
            "kubernetes": pins.kubernetes.to_string(), "charts": charts }));
        return Ok(DONE);
    }
    let kubernetes = pins.kubernetes.to_string();
    let rows = [("kubernetes", kubernetes.as_str())].into_iter().chain(charts);
    let rows: Vec<Vec<String>> = rows.map(|(name, version)| vec![name.to_owned(), version.to_owned()]).collect();
    let commit = commit.map_or("no commit".to_owned(), |commit| format!("commit {commit}"));
    session.shell.screen(&format!("archipelago {version} ({commit})\n\n{}", table(&["pinned", "version"], &rows)));
    Ok(DONE)
}
