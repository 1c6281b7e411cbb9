//! The desired state: fleet, releases, compatible versions; and what every package shares: problems and tokens. Pure: no I/O.

pub mod end_of_life;
pub mod fleet;
pub mod kinds;
pub mod problem;
pub mod release;
pub mod samples;
pub mod token;
pub mod units;
pub mod yaml;
