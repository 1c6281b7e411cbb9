//! All I/O: processes, files below `out/`, secrets, locks and the clock; the driver that runs plans, and queries.

pub mod driver;
pub mod host;
pub mod query;
pub mod workspace;
