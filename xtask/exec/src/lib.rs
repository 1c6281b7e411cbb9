//! Everything that touches the machine: processes, the files below `out/`, secrets, locks and the clock.

pub mod host;
pub mod workspace;
