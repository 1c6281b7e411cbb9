//! How far a tool's version is from the range that is expected.

use semver::{Comparator, Op, Version, VersionReq};

use super::{Answer, Expect, first_version, scalar};
use crate::Output;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionGap {
    pub found: Version,
    /// `>=3.14, <5`
    pub range: String,
    /// Below the range, not above.
    pub too_old: bool,
}

impl Expect {
    /// Of an expected version that the output has another one of.
    pub fn version_gap(&self, output: &Output) -> Option<VersionGap> {
        match self {
            Expect::All(wants) => wants.iter().find_map(|want| want.version_gap(output)),
            Expect::Version(..) if self.fits(&Answer::unjudged(output)) => None,
            Expect::Version(pointer, range) => {
                let text = match pointer.as_str() {
                    "" => output.stdout.clone(),
                    at => scalar(Answer::unjudged(output).at(at).ok()?)?,
                };
                let found = first_version(&text)?;
                let wanted = VersionReq::parse(range).ok()?;
                let release = Version::new(found.major, found.minor, found.patch);
                // `>=3.14`, `^3.14`, `~3.14` and `=3.14` each exclude what is below 3.14.
                let is_above = |least: &Comparator| {
                    let bound = !matches!(least.op, Op::Less | Op::LessEq);
                    bound && !Comparator { op: Op::GreaterEq, ..least.clone() }.matches(&release)
                };
                let too_old = wanted.comparators.iter().any(is_above);
                Some(VersionGap { found, range: range.clone(), too_old })
            }
            _ => None,
        }
    }
}
