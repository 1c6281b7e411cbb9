//! Where the settings of an agent stand: in the values of its release, or in the workload that its chart renders.

use std::time::Duration;

use serde_json::Value;

use crate::rendered_state::Document;
use model::units::parse_duration;

/// The list that replaces every flag of the chart.
pub(super) const FLAGS: &str = "server.defaultFlagsOverride";

/// A path, and what counts where nothing stands there.
pub(super) type Setting = (String, u64);

/// Paths of the settings. Times are seconds.
pub(super) struct Form {
    pub flags: String,
    pub grace: Setting,
    /// Memory that is reserved, and at which it is killed.
    pub memory: [String; 2],
    pub priority: String,
    /// Period and failure threshold of the liveness probe, if there is one.
    pub liveness: Option<[Setting; 2]>,
}

impl Form {
    /// In the values of the chart `prometheus`; the defaults are those of its own `values.yaml`.
    pub fn of_values() -> Form {
        let at = |path: &str| format!("server.{path}");
        Form {
            flags: FLAGS.to_owned(),
            grace: (at("terminationGracePeriodSeconds"), 300),
            memory: [at("resources.requests.memory"), at("resources.limits.memory")],
            priority: at("priorityClassName"),
            liveness: Some([(at("livenessProbePeriodSeconds"), 15), (at("livenessProbeFailureThreshold"), 3)]),
        }
    }

    /// In a workload with a container that is an agent; the defaults are those of Kubernetes.
    pub fn of_workload(document: &Document) -> Option<Form> {
        const POD: &str = "spec.template.spec";
        let containers = document.get(&format!("{POD}.containers"))?.as_array()?;
        let i = containers.iter().position(is_agent)?;
        let at = |path: &str| format!("{POD}.containers.{i}.{path}");
        let probed = document.get(&at("livenessProbe")).is_some();
        Some(Form {
            flags: at("args"),
            grace: (format!("{POD}.terminationGracePeriodSeconds"), 30),
            memory: [at("resources.requests.memory"), at("resources.limits.memory")],
            priority: format!("{POD}.priorityClassName"),
            liveness: probed
                .then(|| [(at("livenessProbe.periodSeconds"), 10), (at("livenessProbe.failureThreshold"), 3)]),
        })
    }

    pub fn container(&self) -> &str {
        self.flags.strip_suffix(".args").unwrap_or(&self.flags)
    }
}

fn is_agent(container: &Value) -> bool {
    let args = container["args"].as_array().into_iter().flatten();
    args.filter_map(Value::as_str).any(|arg| arg == "--agent" || arg == "--enable-feature=agent")
}

/// The value of `--name=value`, with its path; a flag without a value has an empty one.
pub(super) fn flag(document: &Document, flags: &str, name: &str) -> Option<(String, String)> {
    let list = document.get(flags)?.as_array()?;
    let mut found = list.iter().enumerate().filter_map(|(i, f)| {
        let rest = f.as_str()?.strip_prefix(name)?;
        let value = rest.strip_prefix('=').or_else(|| rest.is_empty().then_some(""))?;
        Some((format!("{flags}.{i}"), value.to_owned()))
    });
    // Given twice it keeps Prometheus from starting, which is judged by itself.
    found.next_back()
}

/// A duration among the flags: its path (the list, if it is not there) and its length.
pub(super) fn period(document: &Document, flags: &str, name: &str, otherwise: Duration) -> (String, Option<Duration>) {
    match flag(document, flags, name) {
        Some((path, value)) => (path, parse_duration(&value)),
        None => (flags.to_owned(), Some(otherwise)),
    }
}
