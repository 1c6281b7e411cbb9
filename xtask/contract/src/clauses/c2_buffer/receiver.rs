//! The receiving half of the buffer: Thanos Receive must take samples that are as old as the longest outage.

use std::time::Duration;

use crate::context::ClauseContext;
use crate::rendered_state::{ClusterManifests, Document, RenderedState};
use model::units::{Bytes, format_hours, parse_duration, parse_quantity};

const ARGS: &str = "receive.extraArgs";
const WINDOW: &str = "--tsdb.out-of-order.time-window=";

/// Judges the receiver, given the longest outage that an agent can bridge.
pub(super) fn judge(state: &RenderedState, bridged: Duration, ctx: &mut ClauseContext) {
    let Some(platform) = state.platform() else { return };
    ctx.rule("receiver");
    let Some(thanos) = thanos_of(platform) else {
        let hint = "list the chart thanos for `platform` in charts/releases.toml";
        ctx.missing(platform, "thanos", "Thanos Receive on the platform", "nothing", hint);
        return;
    };
    window(platform, thanos, bridged, state.apps().count() as u64, ctx);
    reachable(state, platform, thanos, ctx);
}

pub(super) fn thanos_of(platform: &ClusterManifests) -> Option<&Document> {
    platform.releases().find(|s| s.chart() == Some("thanos"))
}

/// The out-of-order window and its path; without the flag there is none.
pub(super) fn window_in(thanos: &Document) -> (String, Duration) {
    let args = thanos.get(ARGS).and_then(serde_json::Value::as_array);
    let mut args = args.into_iter().flatten().enumerate();
    let found = args.find_map(|(i, a)| Some((i, a.as_str()?.strip_prefix(WINDOW)?)));
    match found {
        Some((i, value)) => (format!("{ARGS}.{i}"), parse_duration(value).unwrap_or_default()),
        None => (ARGS.to_owned(), Duration::ZERO),
    }
}

fn window(platform: &ClusterManifests, thanos: &Document, bridged: Duration, apps: u64, ctx: &mut ClauseContext) {
    let (path, window) = window_in(thanos);
    ctx.read(thanos, &path);
    ctx.metric("out-of-order window", format_hours(window));
    ctx.rationale(format!(
        "all clusters share one head at the receiver: a backlog of {} is refused unless its window is longer",
        format_hours(bridged)
    ));
    if window < bridged {
        let want = format!("samples accepted that are {} old, as agents can send them", format_hours(bridged));
        let fix = format!("{WINDOW}12h");
        ctx.breach(platform, thanos, &path, want, format!("{} at most", format_hours(window)), fix);
    }
    let kept = ctx.text(thanos, "receive.tsdb.retention").and_then(|text| parse_duration(&text)).unwrap_or_default();
    if kept < bridged {
        let want = format!("kept for longer than an outage of {}", format_hours(bridged));
        ctx.breach(platform, thanos, "receive.tsdb.retention", want, format_hours(kept), "retention: 7d");
    }
    for (path, otherwise, bad, want) in [
        ("receive.enabled", "true", "false", "Thanos Receive on the platform"),
        ("receive.mode", "standalone", "split", "the receiver that is judged: mode standalone"),
        ("receive.replicaCount", "3", "0", "at least one replica that receives"),
    ] {
        let got = ctx.text(thanos, path).unwrap_or_else(|| otherwise.to_owned());
        if got == bad {
            ctx.breach(platform, thanos, path, want, got, format!("{path}, as it is shipped"));
        }
    }
    super::flags::receiver(platform, thanos, ARGS, ctx);
    room(platform, thanos, apps, ctx);
    let lasting = "receive.persistence.enabled";
    ctx.expect(platform, thanos, lasting, "true", "enabled: true; what was caught up must survive its pod");
}

/// Blocks are deleted by size, too: what is kept holds an outage of every agent at the rate at which the promise
/// breaks, and the volume more than that.
fn room(platform: &ClusterManifests, thanos: &Document, apps: u64, ctx: &mut ClauseContext) {
    let size = ctx.text(thanos, "receive.persistence.size").and_then(|text| parse_quantity(&text));
    let flags = super::flags::each(thanos, ARGS).into_iter();
    let limit = flags.filter(|(_, name, _)| name == "tsdb.max-retention-bytes").find_map(|(path, _, value)| {
        Some((path, Bytes::parse(value.trim_end_matches('B').trim_end_matches('i'))?.0)).filter(|(_, size)| *size > 0)
    });
    let needed = apps * 3 * super::wal::SEGMENT;
    let path = limit.as_ref().map_or(ARGS, |(path, _)| path);
    let kept = limit.as_ref().map(|(_, size)| *size).or(size).unwrap_or(0);
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    if kept < needed {
        let want = format!("{} kept: an outage of {apps} agents", mib(needed));
        ctx.breach(platform, thanos, path, want, mib(kept), "--tsdb.max-retention-bytes=8GB, size: 10Gi");
    }
    if let Some(size) = size.filter(|size| limit.as_ref().is_some_and(|(_, kept)| kept + kept / 8 > *size)) {
        let want = "a volume an eighth larger than what is kept: its own log and the block it writes";
        ctx.breach(platform, thanos, "receive.persistence.size", want, mib(size), "size: 10Gi");
    }
}

/// The Service of the mesh on the agents' side has the port of the one here, and that one is offered to the mesh.
fn reachable(state: &RenderedState, platform: &ClusterManifests, thanos: &Document, ctx: &mut ClauseContext) {
    ctx.rule("path");
    let port = ctx.text(thanos, "receive.service.remoteWritePort").unwrap_or_default();
    let note = |key| format!("receive.service.annotations.service\\.cilium\\.io/{key}");
    for key in ["global", "shared"] {
        ctx.expect(platform, thanos, &note(key), "true", "without it agents elsewhere find no backend");
    }
    offered(platform, thanos, &port, ctx);
    for cluster in state.apps() {
        let stub = cluster.objects("Service").find(|s| s.word("metadata.name") == "thanos-receive");
        let Some(stub) = stub else {
            let hint = "give app clusters the manifest `mesh-services`";
            ctx.missing(cluster, "mesh-services", "a Service `thanos-receive` of the mesh", "nothing", hint);
            continue;
        };
        let global = "metadata.annotations.service\\.cilium\\.io/global";
        ctx.expect(cluster, stub, global, "true", "without it the name has no backend anywhere");
        ctx.expect(cluster, stub, "spec.ports.0.name", "remote-write", "the mesh pairs backends by the port's name");
        ctx.expect(cluster, stub, "spec.ports.0.port", &port, "the port of receive.service.remoteWritePort");
    }
}

/// The Service and the arguments that the chart makes of it, where it was rendered.
fn offered(platform: &ClusterManifests, thanos: &Document, port: &str, ctx: &mut ClauseContext) {
    let mut made = platform.rendered().filter(|s| s.name == thanos.name).peekable();
    if made.peek().is_none() {
        return;
    }
    let service = made.find(|s| s.word("kind") == "Service" && s.word("metadata.name") == "thanos-receive");
    let Some(service) = service else {
        let hint = "fullnameOverride, or the name of the Service in infra/manifests/mesh-services.yaml";
        ctx.missing(platform, &thanos.name, "a Service `thanos-receive`", "its chart renders none of that name", hint);
        return;
    };
    for key in ["global", "shared"] {
        let path = format!("metadata.annotations.service\\.cilium\\.io/{key}");
        ctx.expect(platform, service, &path, "true", "without it agents elsewhere find no backend");
    }
    let ports = ctx.list(service, "spec.ports");
    let pair = |p: &serde_json::Value| p["name"] == "remote-write" && crate::context::plain(&p["port"]) == port;
    if !ports.iter().any(pair) {
        let want = format!("a port `remote-write` with number {port}");
        let hint = "the mesh pairs backends by the port's name";
        ctx.breach(platform, service, "spec.ports", want, "none", hint);
    }
    ctx.rule("receiver");
    let args = platform.rendered().filter(|s| s.name == thanos.name && s.word("kind") == "StatefulSet");
    let (_, window) = window_in(thanos);
    for set in args.filter(|s| s.word("metadata.name") == "thanos-receive") {
        let path = "spec.template.spec.containers.0.args";
        let given = ctx.list(set, path).iter().filter_map(|arg| arg.as_str()?.strip_prefix(WINDOW)).next_back();
        if given.and_then(parse_duration) != Some(window) {
            let got = given.unwrap_or("nothing").to_owned();
            let hint = format!("{ARGS} in charts/thanos/values.yaml");
            ctx.breach(
                platform,
                set,
                path,
                format!("{WINDOW}{}, as its values set it", format_hours(window)),
                got,
                hint,
            );
        }
    }
}
