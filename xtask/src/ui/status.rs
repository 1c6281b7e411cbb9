//! Formats `status`: a block per cluster, other problems, and a last line that sums them up; without colour.

use std::fmt::Write;

use serde_json::{Value, json};

use super::format;
use super::table::table;
use charts::verify::memory::NodeMemory;
use contract::Report;
use plan::survey::overview::{ClusterView, NodeView, Overview};

/// How many other steps are listed.
const OTHERS: usize = 12;

pub fn text(overview: &Overview, report: &Report, budget: &[NodeMemory]) -> String {
    let mut out = String::new();
    for cluster in &overview.clusters {
        block(&mut out, cluster);
    }
    let _ = writeln!(out, "{}", memory(budget));
    if !overview.links.is_empty() {
        out.push_str("mesh\n");
    }
    let width = overview.links.iter().map(|link| format::width(&link.cluster)).max().unwrap_or(0);
    for link in &overview.links {
        let _ = writeln!(out, "  {}  {}", format::pad(&link.cluster, width), link.state);
    }
    let _ = writeln!(out, "contract (static, from rendered manifests)\n  {}\n", contract(overview, report));
    if !overview.others.is_empty() {
        out.push_str("problems\n");
    }
    for (_, state) in overview.others.iter().take(OTHERS) {
        let _ = writeln!(out, "  {state}");
    }
    if let Some(more) = overview.others.len().checked_sub(OTHERS).filter(|more| *more > 0) {
        let _ = writeln!(out, "  and {more} more");
    }
    out.push_str(&summary(overview));
    out
}

/// What each VM has, what its pods request at most by the values, and what is left for others.
fn memory(budget: &[NodeMemory]) -> String {
    let mib = |bytes: u64| (bytes >> 20).to_string();
    let row = |n: &NodeMemory| {
        vec![format!("  {}", n.node), mib(n.memory), mib(n.fixed + n.floating), (n.free() >> 20).to_string()]
    };
    table(&["memory, MiB", "VM", "requests", "left"], &budget.iter().map(row).collect::<Vec<_>>())
}

fn contract(overview: &Overview, report: &Report) -> String {
    if overview.clusters.iter().all(|cluster| cluster.role == "platform") {
        return "nothing to judge: the fleet has no app cluster".to_owned();
    }
    let named = |holds: bool| {
        let some = report.verdicts.iter().filter(|verdict| verdict.findings.is_empty() == holds);
        some.map(|verdict| verdict.clause.to_string()).collect::<Vec<_>>().join(" ")
    };
    match (named(true), named(false)) {
        (held, broken) if broken.is_empty() => format!("{held:<32} held"),
        (_, broken) => format!("{broken:<32} broken: cargo xtask verify-contract"),
    }
}

fn summary(overview: &Overview) -> String {
    match overview.passed {
        (passed, all) if passed == all => format!("all {all} checks passed\n"),
        (passed, all) => format!("{passed} of {all} checks passed: cargo xtask doctor\n"),
    }
}

fn block(out: &mut String, cluster: &ClusterView) {
    let certificates = cluster.mesh_certificates.map_or_else(String::new, |d| format!(", mesh certificates {d}d"));
    let _ = writeln!(out, "{} ({}), API {}{certificates}", cluster.name, cluster.role, cluster.api);
    let heading = ["", "", "address", "node", "kubelet", "RAM", "disk", "certs"].map(str::to_owned);
    let rows: Vec<[String; 8]> = [heading].into_iter().chain(cluster.nodes.iter().map(row)).collect();
    let widths = [0, 1, 2, 3, 4, 5, 6, 7].map(|i| rows.iter().map(|row| format::width(&row[i])).max().unwrap_or(0));
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format::pad(cell, width)).collect();
        let _ = writeln!(out, "  {}", cells.join("  ").trim_end());
    }
    for release in &cluster.releases {
        let name = format!("{} {}", release.name, release.version);
        let _ = writeln!(out, "  {name:<32} {}", release.state);
    }
    out.push('\n');
}

fn row(node: &NodeView) -> [String; 8] {
    let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let short = |bytes| format::size(bytes).replace(' ', "").replace("iB", "i");
    let used =
        |of: Option<(u64, u64)>| of.map_or("-".to_owned(), |(used, all)| format!("{}/{}", short(used), short(all)));
    [
        node.vm.clone(),
        node.state.to_string(),
        dash(&node.address),
        dash(&node.node),
        dash(&node.kubelet),
        used(node.memory),
        used(node.disk),
        node.certificates.map(|days| format!("{days}d")).unwrap_or_default(),
    ]
}

/// The event.
pub fn json(overview: &Overview, report: &Report, budget: &[NodeMemory]) -> Value {
    let used = |of: Option<(u64, u64)>| of.map_or(Value::Null, |(used, total)| json!({"used": used, "total": total}));
    let node = |n: &NodeView| {
        json!({"vm": n.vm, "state": n.state.to_string(), "address": n.address, "node": n.node, "pods": n.pods,
            "kubelet": n.kubelet, "memory": used(n.memory), "disk": used(n.disk), "certificates_days": n.certificates})
    };
    let cluster = |c: &ClusterView| {
        let releases = c.releases.iter().map(|r| json!({"name": r.name, "version": r.version, "state": r.state}));
        json!({"name": c.name, "role": c.role, "api": c.api, "nodes": c.nodes.iter().map(node).collect::<Vec<_>>(),
            "mesh_certificates_days": c.mesh_certificates, "releases": releases.collect::<Vec<_>>()})
    };
    let links = overview.links.iter().map(|l| json!({"cluster": l.cluster, "state": l.state, "connected": l.matches}));
    let clauses = report.verdicts.iter();
    let clauses = clauses.map(|v| json!({"clause": v.clause.to_string(), "holds": v.findings.is_empty()}));
    let budget = budget
        .iter()
        .map(|n| json!({"node": n.node, "memory": n.memory, "requests": n.fixed + n.floating, "left": n.free()}));
    let others = overview.others.iter().map(|(step, state)| json!({"step": step, "state": state}));
    json!({"event": "status", "clusters": overview.clusters.iter().map(cluster).collect::<Vec<_>>(),
        "mesh": links.collect::<Vec<_>>(), "contract": clauses.collect::<Vec<_>>(),
        "memory": budget.collect::<Vec<_>>(), "others": others.collect::<Vec<_>>(), "passed": overview.passed.0, "checks": overview.passed.1})
}
