//! From the text of `infra/fleet.toml` to a valid [`Fleet`], or to every problem that it has.
//! Knows nothing of the disk: it is given texts.

use super::{Compatibility, Fleet, document, draft, rules};
use crate::problem::Problem;

/// The tables of the file.
const KEYS: [&str; 7] = ["host", "vm", "versions", "mesh", "docker", "registry", "cluster"];

/// Reads a fleet. `file` is its name as the user typed it, for messages.
///
/// # Errors
/// Every problem at once, in the order of the file: syntax, unknown and missing keys, wrong types, broken rules.
pub fn load(file: &str, text: &str, known: &Compatibility) -> Result<Fleet, Vec<Problem>> {
    let (entries, mut notes) = document::parse(file, text);
    let root = document::Table::root(&mut notes, &entries, &KEYS);
    let draft = draft::read(&mut notes, &root);
    rules::check(&mut notes, &draft, known);
    if !notes.problems.is_empty() {
        return Err(notes.into_problems());
    }
    let lines = std::mem::take(&mut notes.lines);
    draft.into_fleet(file, lines).ok_or_else(|| {
        // Reached only if a value is unreadable and nothing said so: a fault of the reader, not of the file.
        vec![Problem::new("bug: the fleet has no problem and yet is not complete").at(file, None)]
    })
}
