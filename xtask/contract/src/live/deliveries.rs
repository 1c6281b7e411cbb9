//! C1, live, the deliveries: what Argo CD is told now takes nothing away and deletes nothing when it goes.
//! Knows nothing of what is delivered; the rules are those of the static tier.

use super::super::degradation::touches;
use super::bench::Bench;

pub(super) fn judge(bench: &mut Bench<'_>) {
    bench.case.rule("deliveries");
    let platform = bench.sites().into_iter().find(|site| site.is_platform());
    let Some(site) = platform else { return };
    if bench.items(site.name(), "deliveries").is_none() {
        return;
    }
    let mut read = 0;
    for set in site.live.objects("ApplicationSet") {
        for (path, want) in [
            ("spec.syncPolicy.preserveResourcesOnDeletion", "true"),
            ("spec.syncPolicy.applicationsSync", "create-update"),
        ] {
            let hint = format!("{}: {want}", path.rsplit('.').next().unwrap_or(path));
            bench.case.expect(site.live, set, path, want, &hint);
        }
        touches(site.live, set, "spec.template", &mut bench.case);
        read += 1;
    }
    for app in site.live.objects("Application") {
        touches(site.live, app, "", &mut bench.case);
        read += 1;
    }
    bench.case.figure("deliveries read", read.to_string());
}
