//! The figures of C2 against a real Prometheus Agent, with a period of three seconds in place of three hours.
#![expect(clippy::disallowed_methods, reason = "starts a real agent and lets real time go by")]

mod receiver;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use contract::clauses::c2_buffer::wal::{Bound, Wal};
use model::yaml;
use serde_json::{Value, json};

use crate::{golden, run_cli};
use receiver::Receiver;

/// `--storage.agent.wal-truncate-frequency`.
const PERIOD: Duration = Duration::from_secs(3);
/// The queue in memory holds the samples of two seconds at most, so that it cannot stand in for the log.
const CONFIG: &str = "global: {scrape_interval: 400ms, scrape_timeout: 400ms}
scrape_configs:
- job_name: counter
  static_configs: [{targets: ['ADDRESS']}]
remote_write:
- url: http://ADDRESS/write
  metadata_config: {send: false}
  queue_config:
    {capacity: 10, max_samples_per_send: 5, min_shards: 1, max_shards: 1, batch_send_deadline: 500ms,
    min_backoff: 100ms, max_backoff: 500ms}
";

/// What the model says of such an agent, which writes far less than a segment.
fn bound() -> Bound {
    Wal { period: PERIOD, bytes: 1 << 16, segment: contract::clauses::c2_buffer::wal::SEGMENT }.bound()
}

struct Agent {
    child: Child,
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Agent {
    fn start(program: &Path, receiver: &Receiver) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = CONFIG.replace("ADDRESS", &receiver.address);
        std::fs::write(folder.path().join("agent.yml"), config).expect("a file");
        Agent { child: run(program, folder.path()), program: program.to_owned(), folder }
    }

    /// SIGTERM, and the same agent again on the same log.
    fn restart(&mut self) {
        let pid = self.child.id().to_string();
        assert!(run_cli::run(run_cli::command("kill").args(["-TERM", &pid])).0, "it can be asked to stop");
        self.child.wait().expect("it stops");
        self.child = run(&self.program, self.folder.path());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

fn run(program: &Path, folder: &Path) -> Child {
    let (_, version) = run_cli::run(run_cli::command(program).arg("--version"));
    // `prometheus, version 2.42.0+ds (...)`
    let agent = if version.contains("version 2.") { "--enable-feature=agent" } else { "--agent" };
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).expect("a file");
    run_cli::command(program)
        .args([agent, "--web.listen-address=127.0.0.1:0", "--config.file=agent.yml", "--storage.agent.path=data"])
        .args(["--storage.remote.flush-deadline=1s", &format!("--storage.agent.wal-truncate-frequency={PERIOD:?}")])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the agent can be started")
}

/// Waits until it is so; a machine that has much to do gets its time.
fn until(what: &str, agent: &Agent, so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !so() {
        let log = || std::fs::read_to_string(agent.folder.path().join("log")).unwrap_or_default();
        assert!(Instant::now() < end, "never {what}\n{}", log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// An agent that has truncated twice, with samples arriving; nothing where this machine has no Prometheus.
fn running() -> Option<(Agent, Receiver)> {
    let program = run_cli::find("prometheus")?;
    let (receiver, began) = (Receiver::new(), Instant::now());
    let agent = Agent::start(&program, &receiver);
    until("a sample", &agent, || receiver.newest() > 0);
    std::thread::sleep((PERIOD * 2).saturating_sub(began.elapsed()));
    Some((agent, receiver))
}

/// Its samples, from the first to the last, and how long it really was.
type Outage = (u64, u64, Duration);

/// Away for so long, while something is done to the agent. Returns once a sample from after it has arrived: there is
/// one sender, which keeps their order.
fn outage(agent: &mut Agent, receiver: &Receiver, long: Duration, meanwhile: impl FnOnce(&mut Agent)) -> Outage {
    let (began, first) = (Instant::now(), receiver.scraped() + 1);
    receiver.switch(false);
    meanwhile(agent);
    std::thread::sleep(long.saturating_sub(began.elapsed()));
    let last = receiver.scraped();
    receiver.switch(true);
    let took = began.elapsed();
    until("a sample from after the outage", agent, || receiver.newest() > last);
    (first, last, took)
}

/// What was computed beside what was seen, past the test harness.
fn say(long: Duration, of: u64, lost: u64) {
    let Bound { shortest, longest, .. } = bound();
    let line = format!(
        "truncated every {PERIOD:?}: computed no loss up to {shortest:?}, loss from {longest:?}; an outage of {long:?} \
         lost {lost} of {of} samples\n"
    );
    std::io::stderr().write_all(line.as_bytes()).expect("stderr takes text");
}

#[test]
fn outage_under_the_bound_loses_nothing() {
    let Some((mut agent, receiver)) = running() else { return };
    let long = PERIOD.mul_f64(1.5);
    assert!(long < bound().shortest);
    // A machine that was busy elsewhere may make it longer than that; then it says nothing, and there is another.
    let fair = |_| {
        let (first, last, took) = outage(&mut agent, &receiver, long, |_| {});
        (took < bound().shortest).then_some((first, last))
    };
    let (first, last) = (0..3).find_map(fair).expect("a machine that sleeps as long as requested");
    let lost = receiver.lost(first..=last);
    say(long, last - first + 1, lost);
    assert!(last - first > 5, "it was scraped meanwhile");
    assert!(lost <= receiver.failed(), "{lost} of {first} to {last}, {} scrapes failed", receiver.failed());
}

#[test]
fn outage_well_over_the_bound_loses_nearly_all() {
    let Some((mut agent, receiver)) = running() else { return };
    let long = PERIOD * 6;
    assert!(long > bound().longest);
    let (first, last, _) = outage(&mut agent, &receiver, long, |_| {});
    let (of, lost) = (last - first + 1, receiver.lost(first..=last));
    say(long, of, lost);
    assert!(lost * 2 > of, "{lost} of {of}");
}

/// Only samples newer than the restart are sent, although the log still holds the older ones.
#[test]
fn restart_loses_the_backlog() {
    let Some((mut agent, receiver)) = running() else { return };
    let long = PERIOD.mul_f64(1.75);
    let mut stopped = 0;
    let (first, last, _) = outage(&mut agent, &receiver, long, |agent| {
        std::thread::sleep(PERIOD);
        agent.restart();
        stopped = receiver.scraped();
    });
    let (before, after) = (receiver.lost(first..=stopped), receiver.lost(stopped + 1..=last));
    say(long, last - first + 1, before + after);
    let of = stopped - first + 1;
    assert!(of > 5 && before * 10 >= of * 9, "{before} of {of} from before the restart");
}

/// What the chart makes of our values, without what Debian's promtool cannot know: it is built without Kubernetes.
fn configuration(values: &Value) -> Value {
    let jobs = values["scrapeConfigs"].as_object().expect("jobs").iter();
    let jobs = jobs.filter(|(_, job)| job["enabled"] != false).map(|(name, job)| {
        let mut job = job.clone();
        let map = job.as_object_mut().expect("a job");
        map.remove("enabled");
        map.insert("job_name".to_owned(), name.as_str().into());
        job
    });
    json!({
        "global": values["server"]["global"],
        "remote_write": values["server"]["remoteWrite"],
        "scrape_configs": jobs.collect::<Vec<_>>(),
    })
}

#[test]
fn promtool_accepts_our_configuration() {
    let Some(promtool) = run_cli::find("promtool") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let check = |values: &Value, mode: &[&str]| {
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, configuration(values).to_string()).expect("a file");
        run_cli::run(run_cli::command(&promtool).args(["check", "config", "--syntax-only"]).args(mode).arg(&file))
    };
    for (release, mode) in [("prometheus-agent", &["--agent"][..]), ("prometheus", &[])] {
        let file = format!("charts/{release}/values.yaml");
        let values = yaml::parse(&file, &golden::read(&file)).expect("YAML").remove(0).value;
        let (good, printed) = check(&values, mode);
        assert!(good, "{release}: {printed}");
        let mut wrong = values.clone();
        wrong["server"]["remoteWrite"][0]["queue_config"] = json!({"max_backof": "30s"});
        assert!(!check(&wrong, mode).0, "{release}: a key that is no key");
        let mut wrong = values;
        wrong["scrapeConfigs"]["prometheus"] = json!({"metric_relabel_configs": [{"regex": "a(", "action": "keep"}]});
        assert!(!check(&wrong, mode).0, "{release}: a regular expression that is none");
    }
}
