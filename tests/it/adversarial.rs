//! Hostile texts, names, folders, tools, terminals, and a suspended machine; `tests/ADVERSARIAL.md` lists all cases.

mod folders;
mod lengths;
mod names;
mod processes;
mod properties;
mod secrets;
mod suspend;
mod terminal;
mod texts;
