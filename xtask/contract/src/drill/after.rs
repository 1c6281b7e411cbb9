//! What must have come after an outage once the platform answers: samples that waited, fresh secrets; and cleaning up.

use std::time::Duration;

use super::{ASKER, LATER, SPACE, apps, external_secret, id, kubectl, plan, platform, tools};
use model::fleet::{Cluster, Fleet};
use model::token::fact;
use plan::{Expect, Plan, Step};
use render::Files;
use render::drill::{LATE, PROBE};
use tool::{Command, Extractor, Limits};

const THANOS: &str = "/api/v1/namespaces/monitoring/services/thanos-query:9090/proxy/api/v1/query?query=";
/// The series that every scrape of an agent's own page adds one sample to.
const UP: &str = "up%7Bcluster%3D%22CLUSTER%22%2Cjob%3D%22prometheus%22%7D";
/// Samples that are at most this old are of now: two scrapes.
const FRESH: u64 = 120;
/// Waiting samples are sent this much faster than they were written, at least (assumed; `outage_model` assumes ten).
const PACE: u32 = 5;

fn query(platform: &Cluster, cluster: &Cluster, expression: &str) -> Command {
    let expression = expression.replace("UP", &UP.replace("CLUSTER", &cluster.name));
    kubectl(platform).raw(&format!("{THANOS}{expression}"))
}

/// Waits for what waited. An agent sends in the order in which it wrote, so samples of now come behind all others.
pub fn after(fleet: &Fleet, files: &Files, outage: Duration) -> Plan {
    let mut steps = tools(fleet);
    let Some(platform) = platform(fleet) else { return plan(steps, files) };
    for cluster in apps(fleet) {
        steps.push(caught_up(platform, cluster, outage));
        steps.extend([synced(cluster), refreshed(cluster)]);
    }
    plan(steps, files)
}

fn caught_up(platform: &Cluster, cluster: &Cluster, outage: Duration) -> Step {
    let ask = query(platform, cluster, &format!("count(timestamp(UP)%20%3E%20time()%20-%20{FRESH})"));
    let title = format!("wait until {} has caught up", cluster.name);
    let patience = 600 + (outage / PACE).as_secs().min(6000);
    Step::new(id(cluster, "caught-up"), title, ask, Expect::JsonAtLeast("/data/result/0/value/1".into(), 1))
        .needs(["host/kubectl"])
        .remedy("not yet", Expect::ALWAYS, [])
        .limits(Limits::QUICK.settle(patience).attempts(1, 10))
}

/// When the secret was last read from Vault so far. It may be from before the outage, or already from after it.
fn synced(cluster: &Cluster) -> Step {
    let ask = external_secret(cluster).capture(synced_fact(cluster), Extractor::Match(r"^(\S+) \w+$".into()));
    let title = format!("read when {} last asked Vault", cluster.name);
    Step::new(id(cluster, "synced"), title, ask, Expect::Match(r"^\S+ \w+$".into())).needs(["host/kubectl"])
}

fn synced_fact(cluster: &Cluster) -> String {
    format!("{}.drill.synced", cluster.name)
}

/// Any new annotation makes External Secrets ask again; the usual name, and a value that it never had before.
fn refreshed(cluster: &Cluster) -> Step {
    let before = fact(&synced_fact(cluster));
    let want = Expect::All(vec![Expect::Match(r"^\S+ True$".into()), Expect::Match(format!("^{before} ")).negated()]);
    let what = ["externalsecrets.external-secrets.io", "sample-credentials"];
    let ask_again = kubectl(cluster).annotate(SPACE, &what, &format!("force-sync={before}"));
    let title = format!("let {} read its secret from Vault again", cluster.name);
    // A store that did not answer is asked again ever more rarely, up to a quarter of an hour apart.
    Step::new(id(cluster, "refreshed"), title, external_secret(cluster), want)
        .needs([id(cluster, "synced")])
        .act([ask_again])
        .limits(Limits::QUICK.settle(960).attempts(1, 5))
}

/// How many scrapes of each agent are in Thanos, of the last so many seconds.
pub fn counted(fleet: &Fleet, files: &Files, window: Duration) -> Plan {
    let mut steps = tools(fleet);
    for (platform, cluster) in platform(fleet).into_iter().flat_map(|p| apps(fleet).map(move |c| (p, c))) {
        let ask = query(platform, cluster, &format!("sum(count_over_time(UP%5B{}s%5D))", window.as_secs().max(1)));
        let title = format!("count what {} holds of {}'s scrapes", platform.name, cluster.name);
        steps.push(Step::new(id(cluster, "count"), title, ask, Expect::Exit(0)).needs(["host/kubectl"]));
    }
    plan(steps, files)
}

/// Takes away what the drill has put there. Runs whatever came before.
pub fn tidy(fleet: &Fleet, files: &Files) -> Plan {
    let mut steps = tools(fleet);
    for cluster in apps(fleet) {
        let there = kubectl(cluster).present(SPACE, &[ASKER, LATER, "configmap/drill-probe"]);
        let take = |file: &str| kubectl(cluster).delete("-").stdin_file(file);
        let title = format!("take the drill's pods off {}", cluster.name);
        let step = Step::new(id(cluster, "tidied"), title, there, Expect::Stdout(String::new()));
        steps.push(step.needs(["host/kubectl"]).act([take(PROBE), take(LATE)]).limits(Limits::QUICK.settle(60)));
    }
    plan(steps, files)
}
