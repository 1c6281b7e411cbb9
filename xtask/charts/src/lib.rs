//! Upkeep of the list of releases: digests, newer versions, and whether what a chart renders fits the clusters.
//! Knows nothing of processes and the disk: texts that tools printed go in, new texts and findings come out.

pub mod bump;
pub mod edit;
pub mod lock;
pub mod outdated;
pub mod rendered;
pub mod verify;
