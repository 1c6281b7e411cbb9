//! Maintains the list of releases: digests, newer versions, and whether what a chart renders fits the clusters. Pure: no I/O.

pub mod bump;
pub mod changes;
pub mod edit;
pub mod lock;
pub mod outdated;
pub mod rendered;
pub mod verify;
