//! A trial: the faults of a seed, or one fault alone.

use std::fmt;
use std::str::FromStr;

use sim::{Faults, Kind};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trial {
    Seed(u64),
    /// The injection point, counted from 0.
    Fault(u64, Kind),
}

impl Trial {
    pub fn faults(self) -> Faults {
        match self {
            Trial::Seed(seed) => Faults::seeded(seed),
            Trial::Fault(point, kind) => Faults::single(point, kind),
        }
    }

    /// The flag that repeats it.
    pub fn flag(self) -> String {
        format!("--{self}")
    }

    /// Its name in the event stream.
    pub fn field(self) -> (&'static str, serde_json::Value) {
        match self {
            Trial::Seed(seed) => ("seed", seed.into()),
            Trial::Fault(point, kind) => ("fault", format!("{point}:{kind}").into()),
        }
    }
}

/// `seed 7`, `fault 17:crash`.
impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trial::Seed(seed) => write!(f, "seed {seed}"),
            Trial::Fault(point, kind) => write!(f, "fault {point}:{kind}"),
        }
    }
}

/// A fault: `17:crash`.
impl FromStr for Trial {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (point, kind) = text.split_once(':').ok_or("expected an injection point and a kind: 17:crash")?;
        let point = point.parse().map_err(|_| format!("not the number of an injection point: `{point}`"))?;
        Ok(Trial::Fault(point, kind.parse()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_written_as_it_is_read() {
        let trial = Trial::Fault(17, Kind::FailDone);
        assert_eq!((trial.to_string(), trial.flag()), ("fault 17:fail-done".into(), "--fault 17:fail-done".into()));
        assert_eq!("17:fail-done".parse(), Ok(trial));
        for wrong in ["17", "x:crash", "17:boom", "-1:crash"] {
            assert!(wrong.parse::<Trial>().is_err(), "{wrong}");
        }
    }
}
