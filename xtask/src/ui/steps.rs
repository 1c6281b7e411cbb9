//! Formats many steps as a table: a row for each cluster with what is done there.

use super::format;
use plan::StepKey;

/// Rows of cluster, number of steps and actions, wrapped to the width. Clusters with the same actions share a row.
pub fn table<'a>(steps: impl IntoIterator<Item = &'a StepKey>, width: usize) -> String {
    let mut clusters: Vec<(&str, usize, Vec<&str>)> = Vec::new();
    for step in steps {
        let name = step.scope().name();
        let at = clusters.iter().position(|(cluster, ..)| *cluster == name);
        let at = at.unwrap_or_else(|| {
            clusters.push((name, 0, vec![]));
            clusters.len() - 1
        });
        let (_, count, actions) = &mut clusters[at];
        *count += 1;
        if !actions.contains(&step.action()) {
            actions.push(step.action());
        }
    }
    let mut rows: Vec<(String, usize, Vec<&str>)> = Vec::new();
    for (name, count, actions) in clusters {
        match rows.iter_mut().find(|row| (row.1, &row.2) == (count, &actions)) {
            Some((names, ..)) => *names = format!("{names}, {name}"),
            None => rows.push((name.to_owned(), count, actions)),
        }
    }
    rows.into_iter().map(|(names, count, actions)| row(&names, count, &actions, width)).collect()
}

fn row(names: &str, count: usize, actions: &[&str], width: usize) -> String {
    let each = if names.contains(", ") { " each" } else { "" };
    let names = format::wrap(&format!("{names}: {}{each}", format::count(count, "step")), width).join("\n");
    let actions = format::wrap(&actions.join(", "), width - 2);
    let actions: String = actions.iter().map(|line| format!("  {line}\n")).collect();
    format!("{names}\n{actions}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_with_the_same_steps_share_a_row() {
        let keys = ["host/helm", "a/cp/launch", "a/w1/launch", "b/cp/launch", "c/cp/launch"].map(StepKey::from);
        let want = "host: 1 step\n  helm\na: 2 steps\n  cp/launch, w1/launch\nb, c: 1 step each\n  cp/launch\n";
        assert_eq!(table(&keys, 40), want);
    }
}
