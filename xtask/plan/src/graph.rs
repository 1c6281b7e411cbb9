//! A plan as a picture: steps and what they need, as a Mermaid flowchart.

use std::collections::BTreeSet;

use super::choose::needed;
use super::{Plan, StepKey};

/// A Mermaid flowchart, a box per cluster. A need that follows from others is left out: the picture is not the plan.
pub fn mermaid(plan: &Plan) -> String {
    let number = |id: &StepKey| plan.steps.iter().position(|s| s.id == *id);
    let mut out = String::from("flowchart LR\n");
    let groups: BTreeSet<&str> = plan.steps.iter().map(|s| s.id.scope().name()).collect();
    for name in groups {
        out.push_str(&format!("  subgraph {name}\n"));
        for (index, step) in plan.steps.iter().enumerate().filter(|(_, s)| s.id.scope().name() == name) {
            out.push_str(&format!("    s{index}[\"{}\"]\n", step.id));
        }
        out.push_str("  end\n");
    }
    for (index, step) in plan.steps.iter().enumerate() {
        for need in &step.needs {
            let others = step.needs.iter().filter(|other| *other != need).cloned().collect();
            if let (Some(number), false) = (number(need), needed(&plan.steps, others).contains(need)) {
                out.push_str(&format!("  s{number} --> s{index}\n"));
            }
        }
        let after = step.after.iter().filter_map(number);
        after.for_each(|first| out.push_str(&format!("  s{first} -.-> s{index}\n")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::samples::{plan, step};
    use super::*;

    #[test]
    fn a_need_that_follows_from_others_is_not_drawn() {
        let plan = plan([step("a/1", &[]), step("a/2", &["a/1"]), step("b/3", &["a/1", "a/2"])]);
        let boxes = "  subgraph a\n    s0[\"a/1\"]\n    s1[\"a/2\"]\n  end\n  subgraph b\n    s2[\"b/3\"]\n  end\n";
        let want = format!("flowchart LR\n{boxes}  s0 --> s1\n  s1 --> s2\n");
        assert_eq!(mermaid(&plan), want);
    }
}
