//! What a person or a script sees: problems, live progress, the report at the end, and the event stream.
//! Knows nothing of worlds, processes or files: it is told notes, outcomes and problems, and writes words.
//!
//! stdout carries the data that was asked for, stderr the story. [`shell::Shell`] is the only writer; everything else
//! here is a pure function from values to text, so that what is shown can be tested without a terminal.

pub mod contract;
pub mod doctor;
pub mod events;
pub mod format;
pub mod problem;
pub mod progress;
pub mod report;
pub mod shell;
pub mod status;
pub mod table;
