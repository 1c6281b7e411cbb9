//! What is wanted: the fleet, its releases, compatible versions; and what every other package shares: problems and tokens.
//! Pure: no I/O.

pub mod fleet;
pub mod problem;
pub mod release;
pub mod samples;
pub mod token;
pub mod units;
