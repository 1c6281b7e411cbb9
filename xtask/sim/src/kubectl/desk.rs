//! What a subcommand of kubectl has to work with.
//! Knows nothing of any subcommand.

use std::time::Duration;

use super::super::ask::Ask;
use super::super::flags::Parsed;

/// What a subcommand has to work with.
pub struct Desk<'a> {
    pub ask: &'a Ask,
    pub parsed: &'a Parsed<'a>,
    pub now: Duration,
    /// The VM whose API server is asked.
    pub vm: String,
}

impl Desk<'_> {
    /// The namespace given, or `default`.
    pub fn namespace(&self) -> &str {
        self.parsed.get("namespace").unwrap_or("default")
    }
}
