//! Every flag of an agent and of the receiver: what is judged by other rules, what changes nothing that is buffered or
//! sent, what breaks the buffer; and those that are not known here, by name. Read from `cmd/prometheus/main.go` of
//! Prometheus 3.14 and `cmd/thanos/receive.go` of Thanos 0.42.

use std::collections::BTreeSet;

use crate::context::ClauseContext;
use crate::rendered_state::{ClusterManifests, Document};

/// Judged by a rule of C2, or known to change nothing that is buffered or sent. A name that ends in a dot is a prefix.
const KNOWN: [&str; 20] = [
    "agent",
    "auto-gomaxprocs",
    "auto-gomemlimit",
    "auto-gomemlimit.",
    "config.file",
    "log.",
    "scrape.discovery-reload-interval",
    "storage.agent.no-lockfile",
    "storage.agent.path",
    "storage.agent.retention.",
    "storage.agent.wal-compression",
    "storage.agent.wal-compression-type",
    "storage.agent.wal-segment-size",
    "storage.agent.wal-truncate-frequency",
    "storage.remote.flush-deadline",
    "web.config.file",
    "web.console.",
    "web.enable-lifecycle",
    "web.external-url",
    "web.page-title",
];
/// Flags of the server: with one of them an agent exits at once.
const SERVER: [&str; 6] = ["storage.tsdb.", "storage.remote.read-", "query.", "rules.", "alertmanager.", "web.search."];
/// What writes into the log beside scrapes, or more for each of them.
const FILLING: [&str; 6] = [
    "web.enable-remote-write-receiver",
    "web.enable-otlp-receiver",
    "enable-feature=exemplar-storage",
    "enable-feature=extra-scrape-metrics",
    "enable-feature=created-timestamp-zero-ingestion",
    "enable-feature=metadata-wal-records",
];
/// Features that change neither.
const FEATURES: [&str; 3] = ["auto-reload-config", "old-ui", "use-uncached-io"];
const RECEIVER: [&str; 14] = [
    "enable-auto-gomemlimit",
    "auto-gomemlimit.",
    "log.",
    "label",
    "grpc-",
    "http-",
    "receive.local-endpoint",
    "tsdb.out-of-order.",
    "tsdb.max-retention-bytes",
    "tsdb.wal-compression",
    "tsdb.memory-snapshot-on-shutdown",
    "tsdb.no-lockfile",
    "tracing.",
    "web.",
];

fn is_among(list: &[&str], name: &str) -> bool {
    list.iter().any(|known| known == &name || (known.ends_with(['.', '-']) && name.starts_with(known)))
}

/// The path, name and value of each flag of a list.
pub(super) fn each(document: &Document, list: &str) -> Vec<(String, String, String)> {
    let words = document.get(list).and_then(serde_json::Value::as_array).into_iter().flatten().enumerate();
    let named = words.filter_map(|(i, word)| {
        let (name, value) = word.as_str()?.strip_prefix("--").map(|w| w.split_once('=').unwrap_or((w, "")))?;
        Some((format!("{list}.{i}"), name.trim_start_matches("no-").to_owned(), value.to_owned()))
    });
    named.collect()
}

/// A flag given twice keeps either program from starting, those that may be repeated aside (kingpin).
fn repeated(cluster: &ClusterManifests, document: &Document, list: &str, ctx: &mut ClauseContext) {
    let mut seen = BTreeSet::new();
    for (path, name, _) in each(document, list) {
        let may = ["web.listen-address", "enable-feature", "label"].contains(&name.as_str());
        if !may && !seen.insert(name.clone()) {
            let got = format!("--{name} a second time");
            ctx.breach(cluster, document, &path, "every flag once: it does not start otherwise", got, "remove one");
        }
    }
}

fn unjudged(of: &str, name: &str, ctx: &mut ClauseContext) {
    ctx.metric(&format!("not judged of {of}"), format!("--{name}"));
    ctx.rationale(format!("nothing is known of --{name} of {of}: what it does to the buffer is not judged"));
}

pub(super) fn judge(cluster: &ClusterManifests, agent: &Document, list: &str, ctx: &mut ClauseContext) {
    ctx.rule("flags");
    repeated(cluster, agent, list, ctx);
    let path = "server.image.tag";
    let tag = ctx.text(agent, path).unwrap_or_default();
    if tag.trim_start_matches('v').starts_with("2.") {
        let want = "Prometheus 3: older ones do not know --agent and exit";
        ctx.breach(cluster, agent, path, want, tag, "remove image.tag");
    }
    for (path, name, value) in each(agent, list) {
        ctx.read(agent, &path);
        let features = value.split(',').map(|f| (format!("{name}={f}"), is_among(&FEATURES, f)));
        let parts: Vec<(String, bool)> = match name.as_str() {
            "enable-feature" => features.collect(),
            _ => vec![(name.clone(), is_among(&KNOWN, &name))],
        };
        let hint = format!("remove --{name}");
        for (part, known) in parts {
            if is_among(&SERVER, &part) {
                let want = "flags of an agent: with one of the server it exits";
                ctx.breach(cluster, agent, &path, want, format!("--{part}"), &hint);
            } else if is_among(&FILLING, &part) {
                let want = "nothing in the log but what jobs with a ceiling scrape";
                ctx.breach(cluster, agent, &path, want, format!("--{part}"), &hint);
            } else if !known {
                unjudged("the agent", &part, ctx);
            }
        }
        if name == "config.file" && value != "/etc/config/prometheus.yml" {
            let want = "the configuration that is judged";
            ctx.breach(cluster, agent, &path, want, value, "--config.file=/etc/config/prometheus.yml");
        }
    }
}

/// Arguments of the receiver beside those that the chart writes.
pub(super) fn receiver(platform: &ClusterManifests, thanos: &Document, list: &str, ctx: &mut ClauseContext) {
    repeated(platform, thanos, list, ctx);
    for (path, name, value) in each(thanos, list) {
        ctx.read(thanos, &path);
        let refuses = name.starts_with("receive.limits") || name.starts_with("receive.tenant-certificate");
        let chart = ["tsdb.retention", "tsdb.path", "remote-write.address", "objstore."];
        let got = format!("--{name}={value}");
        if refuses || name.starts_with("remote-write.server-tls") {
            let want = "a receiver that takes all an agent sends: an agent does not try again after 4xx, 429 included";
            ctx.breach(platform, thanos, &path, want, got, format!("remove --{name}"));
        } else if is_among(&chart, &name) {
            let want = "every flag once: the chart writes this one";
            ctx.breach(platform, thanos, &path, want, got, "receive.tsdb.retention");
        } else if !is_among(&RECEIVER, &name) {
            unjudged("the receiver", &name, ctx);
        }
    }
}
