//! The receiving half of the buffer: Thanos Receive must take samples that are as old as the longest outage.
//! Knows nothing of the agents beyond how long an outage they can bridge.

use std::time::Duration;

use super::super::case::Case;
use super::super::evidence::{Evidence, Ground, Sheet};
use model::units::{format_hours, parse_duration};

const ARGS: &str = "receive.extraArgs";
const WINDOW: &str = "--tsdb.out-of-order.time-window=";

/// Judges the receiver, given the longest outage that an agent can bridge.
pub(super) fn judge(evidence: &Evidence, bridged: Duration, case: &mut Case) {
    let Some(platform) = evidence.platform() else { return };
    case.rule("receiver");
    let Some(thanos) = thanos_of(platform) else {
        let hint = "list the chart thanos for `platform` in charts/releases.toml";
        case.missing(platform, "thanos", "Thanos Receive on the platform", "nothing", hint);
        return;
    };
    window(platform, thanos, bridged, case);
    reachable(evidence, platform, thanos, case);
}

/// The release that receives.
pub(super) fn thanos_of(platform: &Ground) -> Option<&Sheet> {
    platform.releases().find(|s| s.chart() == Some("thanos"))
}

/// The out-of-order window and its path; without the flag there is none.
pub(super) fn window_in(thanos: &Sheet) -> (String, Duration) {
    let args = thanos.get(ARGS).and_then(serde_json::Value::as_array);
    let mut args = args.into_iter().flatten().enumerate();
    let found = args.find_map(|(i, a)| Some((i, a.as_str()?.strip_prefix(WINDOW)?)));
    match found {
        Some((i, value)) => (format!("{ARGS}.{i}"), parse_duration(value).unwrap_or_default()),
        None => (ARGS.to_owned(), Duration::ZERO),
    }
}

fn window(platform: &Ground, thanos: &Sheet, bridged: Duration, case: &mut Case) {
    let (path, window) = window_in(thanos);
    case.read(thanos, &path);
    case.figure("out-of-order window", format_hours(window));
    case.because(format!(
        "all clusters share one head at the receiver: a backlog of {} is refused unless its window is longer",
        format_hours(bridged)
    ));
    if window < bridged {
        let want = format!("samples accepted that are {} old, as agents can send them", format_hours(bridged));
        let mend = format!("{WINDOW}12h");
        case.breach(platform, thanos, &path, want, format!("{} at most", format_hours(window)), mend);
    }
    let kept = case.text(thanos, "receive.tsdb.retention").and_then(|text| parse_duration(&text)).unwrap_or_default();
    if kept < bridged {
        let want = format!("kept for longer than an outage of {}", format_hours(bridged));
        case.breach(platform, thanos, "receive.tsdb.retention", want, format_hours(kept), "retention: 7d");
    }
    let lasting = "receive.persistence.enabled";
    case.expect(platform, thanos, lasting, "true", "enabled: true; what was caught up must survive its pod");
}

/// The Service of the mesh on the agents' side has the port of the one here, and that one is offered to the mesh.
fn reachable(evidence: &Evidence, platform: &Ground, thanos: &Sheet, case: &mut Case) {
    case.rule("path");
    let port = case.text(thanos, "receive.service.remoteWritePort").unwrap_or_default();
    let note = |key| format!("receive.service.annotations.service\\.cilium\\.io/{key}");
    for key in ["global", "shared"] {
        case.expect(platform, thanos, &note(key), "true", "without it agents elsewhere find no backend");
    }
    offered(platform, thanos, &port, case);
    for ground in evidence.apps() {
        let stub = ground.objects("Service").find(|s| s.word("metadata.name") == "thanos-receive");
        let Some(stub) = stub else {
            let hint = "give app clusters the manifest `mesh-services`";
            case.missing(ground, "mesh-services", "a Service `thanos-receive` of the mesh", "nothing", hint);
            continue;
        };
        let global = "metadata.annotations.service\\.cilium\\.io/global";
        case.expect(ground, stub, global, "true", "without it the name has no backend anywhere");
        case.expect(ground, stub, "spec.ports.0.name", "remote-write", "the mesh pairs backends by the port's name");
        case.expect(ground, stub, "spec.ports.0.port", &port, "the port of receive.service.remoteWritePort");
    }
}

/// The Service and the arguments that the chart makes of it, where it was rendered.
fn offered(platform: &Ground, thanos: &Sheet, port: &str, case: &mut Case) {
    let mut made = platform.rendered().filter(|s| s.name == thanos.name).peekable();
    if made.peek().is_none() {
        return;
    }
    let service = made.find(|s| s.word("kind") == "Service" && s.word("metadata.name") == "thanos-receive");
    let Some(service) = service else {
        let hint = "fullnameOverride, or the name of the Service in infra/manifests/mesh-services.yaml";
        case.missing(platform, &thanos.name, "a Service `thanos-receive`", "its chart renders none of that name", hint);
        return;
    };
    for key in ["global", "shared"] {
        let path = format!("metadata.annotations.service\\.cilium\\.io/{key}");
        case.expect(platform, service, &path, "true", "without it agents elsewhere find no backend");
    }
    let ports = case.list(service, "spec.ports");
    let pair = |p: &serde_json::Value| p["name"] == "remote-write" && super::super::case::plain(&p["port"]) == port;
    if !ports.iter().any(pair) {
        let want = format!("a port `remote-write` with number {port}");
        let hint = "the mesh pairs backends by the port's name";
        case.breach(platform, service, "spec.ports", want, "none", hint);
    }
    case.rule("receiver");
    let args = platform.rendered().filter(|s| s.name == thanos.name && s.word("kind") == "StatefulSet");
    let (_, window) = window_in(thanos);
    for set in args.filter(|s| s.word("metadata.name") == "thanos-receive") {
        let path = "spec.template.spec.containers.0.args";
        let given = case.list(set, path).iter().filter_map(|arg| arg.as_str()?.strip_prefix(WINDOW)).next_back();
        if given.and_then(parse_duration) != Some(window) {
            let got = given.unwrap_or("nothing").to_owned();
            let hint = format!("{ARGS} in charts/thanos/values.yaml");
            case.breach(platform, set, path, format!("{WINDOW}{}, as its values say", format_hours(window)), got, hint);
        }
    }
}
