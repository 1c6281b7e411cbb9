//! Parses and validates `infra/fleet.toml`.

use super::{Compatibility, Fleet, document, draft, rules};
use crate::problem::Problem;

const KEYS: [&str; 8] = ["host", "vm", "versions", "mesh", "docker", "registry", "gitops", "cluster"];

/// Reads a fleet. `file` is its name as the user typed it, for messages.
///
/// # Errors
/// Every problem at once, in the order of the file: syntax, unknown and missing keys, wrong types, broken rules.
pub fn load(file: &str, text: &str, known: &Compatibility) -> Result<Fleet, Vec<Problem>> {
    let (entries, mut diagnostics) = document::parse(file, text);
    let root = document::Table::root(&mut diagnostics, &entries, &KEYS);
    let draft = draft::read(&mut diagnostics, &root);
    rules::check(&mut diagnostics, &draft, known);
    if !diagnostics.problems.is_empty() {
        return Err(diagnostics.into_problems());
    }
    let lines = std::mem::take(&mut diagnostics.lines);
    draft
        .into_fleet(file, lines, known)
        .ok_or_else(|| vec![Problem::new("bug: the fleet is incomplete, yet no problem was reported").at(file, None)])
}
