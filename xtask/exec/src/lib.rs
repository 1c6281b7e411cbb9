//! Everything that touches the machine: processes, the files below `out/`, secrets, locks and the clock; the driver
//! that runs plans, and queries.

pub mod driver;
pub mod host;
pub mod query;
pub mod workspace;
