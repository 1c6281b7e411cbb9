//! The rest of the table of what degrades: logs wait in their files, and deliveries stop without touching anything.
//! Knows nothing of references; C1 owns these rules, since ADR-0001 is where the table stands.

use std::time::Duration;

use super::case::{Case, shown};
use super::evidence::{Evidence, Ground, Sheet};
use model::units::{format_hours, parse_duration};

/// How old lines may be when they come; a laptop is closed over a weekend.
const OLDEST: Duration = Duration::from_secs(24 * 3600);

/// Judges Promtail, Loki and Argo CD.
pub(super) fn judge(evidence: &Evidence, case: &mut Case) {
    for ground in evidence.apps() {
        case.rule("logs");
        match ground.releases().find(|s| s.chart() == Some("promtail")) {
            Some(promtail) => logs(ground, promtail, case),
            None => {
                let hint = "list the chart promtail for `workload` in charts/releases.toml";
                case.missing(ground, "promtail", "Promtail on every app cluster", "nothing", hint);
            }
        }
    }
    let Some(platform) = evidence.platform() else { return };
    case.rule("old-lines");
    if let Some(loki) = platform.releases().find(|s| s.chart() == Some("loki")) {
        accepted(platform, loki, case);
    }
    case.rule("deliveries");
    for set in platform.objects("ApplicationSet") {
        case.expect(
            platform,
            set,
            "spec.syncPolicy.preserveResourcesOnDeletion",
            "true",
            "preserveResourcesOnDeletion: true",
        );
        case.expect(
            platform,
            set,
            "spec.syncPolicy.applicationsSync",
            "create-update",
            "applicationsSync: create-update",
        );
        touches(platform, set, "spec.template", case);
    }
    for app in platform.objects("Application") {
        touches(platform, app, "", case);
    }
    case.because(
        "Argo CD runs on the platform: it stops with it; nothing here asks it anything, and nothing is pruned",
    );
}

/// Positions outlive a reboot, and a push is tried until it succeeds.
fn logs(ground: &Ground, promtail: &Sheet, case: &mut Case) {
    let file = case.text(promtail, "config.positions.filename").unwrap_or_default();
    let mounts = case.list(promtail, "defaultVolumeMounts");
    let volumes = case.list(promtail, "defaultVolumes");
    let mount = mounts.iter().find(|m| m["mountPath"].as_str().is_some_and(|p| file.starts_with(p)));
    let on_disk = mount.is_some_and(|mount| {
        volumes.iter().any(|v| v["name"] == mount["name"] && v["hostPath"]["path"].as_str().is_some_and(is_lasting))
    });
    if !on_disk {
        let hint = "a hostPath such as /var/lib/promtail, mounted where positions.filename points";
        let got = format!("{} on no lasting path of the node", shown(Some(&file)));
        case.breach(ground, promtail, "config.positions.filename", "positions that outlive a reboot", got, hint);
    }
    for (i, _) in case.list(promtail, "config.clients").iter().enumerate() {
        let path = format!("config.clients.{i}.backoff_config.max_retries");
        case.expect(ground, promtail, &path, "0", "max_retries: 0; it means for ever");
    }
    let limits = case.text(promtail, "config.snippets.extraLimitsConfig").unwrap_or_default();
    if limits.lines().any(|line| line.trim() == "readline_rate_drop: true") {
        let path = "config.snippets.extraLimitsConfig";
        case.breach(
            ground,
            promtail,
            path,
            "lines wait",
            "lines are dropped when they come fast",
            "readline_rate_drop: false",
        );
    }
    case.figure("log lines", "positions on the node's disk, pushed until it succeeds");
}

/// Memory is lost at a reboot: `/run`, `/tmp` and `/dev/shm`.
pub(super) fn is_lasting(path: &str) -> bool {
    path.starts_with('/') && !["/run", "/var/run", "/tmp", "/dev/shm"].iter().any(|gone| path.starts_with(gone))
}

/// Lines of an outage are old when they come; Promtail drops what is refused with 400.
fn accepted(platform: &Ground, loki: &Sheet, case: &mut Case) {
    let path = "loki.limits_config.reject_old_samples_max_age";
    if !case.on(loki, "loki.limits_config.reject_old_samples", true) {
        return;
    }
    let age =
        case.text(loki, path).and_then(|text| parse_duration(&text)).unwrap_or(Duration::from_secs(7 * 24 * 3600));
    case.figure("oldest line accepted", format_hours(age));
    if age < OLDEST {
        let want = format!("lines accepted that are {} old", format_hours(OLDEST));
        case.breach(platform, loki, path, want, format_hours(age), "reject_old_samples_max_age: 168h");
    }
}

/// An Application takes nothing away by itself, and leaves everything behind when it goes.
pub(super) fn touches(platform: &Ground, app: &Sheet, below: &str, case: &mut Case) {
    let path = |rest: &str| if below.is_empty() { rest.to_owned() } else { format!("{below}.{rest}") };
    let prune = path("spec.syncPolicy.automated.prune");
    if case.on(app, &prune, false) {
        case.breach(platform, app, &prune, "nothing that runs is removed by a sync", "prune: true", "prune: false");
    }
    let finalizers = path("metadata.finalizers");
    let list = case.list(app, &finalizers);
    if list.iter().any(|f| f.as_str().is_some_and(|f| f.starts_with("resources-finalizer"))) {
        let want = "an Application that goes leaves what it delivered";
        case.breach(platform, app, &finalizers, want, "a finalizer that deletes it", "remove the finalizer");
    }
}
