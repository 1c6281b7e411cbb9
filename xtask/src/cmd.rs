//! Placeholder until its room is built.

pub mod drive;
