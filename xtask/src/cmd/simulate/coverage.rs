//! The coverage table: injected faults and converged trials by kind of fault and tool.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::trial_runner::TrialResult;
use crate::ui::table::table;
use sim::Kind;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    injected: usize,
    converged: usize,
}

impl Count {
    /// A number, or two where they differ: `12`, `11 of 12`.
    fn text(self) -> String {
        match self {
            Count { injected, converged } if injected == converged => injected.to_string(),
            Count { injected, converged } => format!("{converged} of {injected}"),
        }
    }
}

/// By kind of fault, and by the program that it was injected into.
#[derive(Debug, Default)]
pub struct Coverage(BTreeMap<Kind, BTreeMap<String, Count>>);

impl Coverage {
    pub fn add(&mut self, result: &TrialResult) {
        for fault in &result.injected {
            let tool = fault.command.split(' ').next().unwrap_or_default().to_owned();
            let count = self.0.entry(fault.kind).or_default().entry(tool).or_default();
            count.injected += 1;
            count.converged += usize::from(result.verdict.is_none());
        }
    }

    fn tools(&self) -> BTreeSet<&str> {
        self.0.values().flat_map(|tools| tools.keys()).map(String::as_str).collect()
    }

    /// For people: a row for each kind, a column for each tool; both numbers where not all converged.
    pub fn text(&self) -> String {
        let tools = self.tools();
        let heading: Vec<&str> = ["fault", "injected", "converged"].into_iter().chain(tools.iter().copied()).collect();
        let row = |name: String, of: &dyn Fn(&str) -> Count| {
            let all: Vec<Count> = tools.iter().map(|tool| of(tool)).collect();
            let sum = |part: fn(&Count) -> usize| all.iter().map(part).sum::<usize>().to_string();
            let mut row = vec![name, sum(|c| c.injected), sum(|c| c.converged)];
            row.extend(all.iter().map(|count| count.text()));
            row
        };
        let get = |tools: &BTreeMap<String, Count>, tool: &str| tools.get(tool).copied().unwrap_or_default();
        let mut rows: Vec<Vec<String>> =
            self.0.iter().map(|(kind, tools)| row(kind.to_string(), &|tool| get(tools, tool))).collect();
        rows.push(row("all".to_owned(), &|tool| {
            let counts = self.0.values().map(|tools| get(tools, tool));
            counts.fold(Count::default(), |sum, count| Count {
                injected: sum.injected + count.injected,
                converged: sum.converged + count.converged,
            })
        }));
        table(&heading, &rows)
    }

    /// For scripts: one event with every kind, and in it every tool.
    pub fn json(&self) -> Value {
        let count = |count: &Count| json!({ "injected": count.injected, "converged": count.converged });
        let tools = |tools: &BTreeMap<String, Count>| -> BTreeMap<String, Value> {
            tools.iter().map(|(tool, of)| (tool.clone(), count(of))).collect()
        };
        let faults: BTreeMap<String, Value> = self.0.iter().map(|(k, of)| (k.to_string(), json!(tools(of)))).collect();
        json!({ "event": "injection-points", "faults": faults })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim::InjectedFault;

    fn result(kind: Kind, command: &str, well: bool) -> TrialResult {
        let injected = vec![InjectedFault { point: 7, kind, command: command.into() }];
        TrialResult { injected, verdict: (!well).then(|| (63, "it diverges".into())), ..TrialResult::default() }
    }

    #[test]
    fn each_kind_has_a_row_and_each_tool_a_column() {
        let mut table = Coverage::default();
        for (kind, command, well) in [
            (Kind::Crash, "helm list --output json", true),
            (Kind::Fail, "helm list --output json", true),
            (Kind::Fail, "multipass list", false),
            (Kind::Fail, "multipass list", true),
        ] {
            table.add(&result(kind, command, well));
        }
        let want = "\
fault  injected  converged  helm  multipass
fail          3          2     1  1 of 2
crash         1          1     1  0
all           4          3     2  1 of 2
";
        assert_eq!(table.text(), want);
        assert_eq!(table.json()["faults"]["fail"]["multipass"], json!({ "injected": 2, "converged": 1 }));
    }
}
