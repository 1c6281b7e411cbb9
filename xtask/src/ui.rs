//! Screen and event stream: problems, live progress, reports.
//!
//! Results go to stdout, progress to stderr. [`shell::Shell`] is the only writer; everything else is a pure function from
//! values to text.

pub mod contract;
pub mod doctor;
pub mod events;
pub mod format;
pub mod problem;
pub mod progress;
pub mod report;
pub mod shell;
pub mod status;
pub mod steps;
pub mod table;
