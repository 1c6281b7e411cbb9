//! What a download that failed, or brought another digest, means: which release, which file, which line of the list.
//! Knows nothing of how it is downloaded.

use model::problem::Problem;
use model::release::RELEASES;
use model::release::{Releases, Source};
use plan::bootstrap;
use plan::engine::Failure;

/// The file in `out/charts` that an entry is downloaded to.
pub fn file(releases: &Releases, name: &str) -> Option<String> {
    let chart = releases.charts.iter().find(|c| c.placement.name == name).map(|c| c.archive());
    let manifest = releases.manifests.iter().find(|m| m.placement.name == name);
    chart.or_else(|| manifest.filter(|m| m.is_downloaded()).map(bootstrap::file_of))
}

/// Every entry with a digest, its file, and that digest.
pub fn pinned(releases: &Releases) -> Vec<(&str, String, &str)> {
    let charts = releases.charts.iter().map(|c| (&c.placement.name, c.sha256.as_deref()));
    let manifests = releases.manifests.iter().filter_map(|m| match &m.source {
        Source::Url { sha256, .. } => Some((&m.placement.name, sha256.as_deref())),
        Source::File(_) => None,
    });
    charts.chain(manifests).filter_map(|(name, want)| Some((name.as_str(), file(releases, name)?, want?))).collect()
}

/// The problem behind a download that failed, or brought another file. None for any other failure.
pub fn problems(releases: &Releases, failure: &Failure) -> Vec<Problem> {
    let charts = releases.charts.iter().map(|chart| &chart.placement.name);
    let names = charts.chain(releases.manifests.iter().map(|manifest| &manifest.placement.name));
    let files = names.filter_map(|name| Some((name.as_str(), file(releases, name)?)));
    let mut here = files.filter(|(_, file)| bootstrap::archive_step(file) == failure.step);
    if failure.command.mutates {
        // One archive may serve several releases: one of them is enough to find it.
        return here.next().map(|(name, file)| undelivered(releases, name, &file, failure)).into_iter().collect();
    }
    let got = failure.output.stdout.trim();
    let is_digest = got.len() == 64 && got.bytes().all(|b| b.is_ascii_hexdigit());
    let all = pinned(releases).into_iter().filter(|(_, file, _)| bootstrap::archive_step(file) == failure.step);
    all.filter(|(_, _, want)| is_digest && *want != got).map(|(name, ..)| other(releases, name, got)).collect()
}

/// The server is down, or has no such file.
fn undelivered(releases: &Releases, name: &str, file: &str, failure: &Failure) -> Problem {
    let last = failure.output.stderr.lines().rev().find(|line| !line.trim().is_empty());
    let said = last.map_or(failure.why.as_str(), str::trim);
    Problem::new(format!("cannot download what `{name}` is installed from: `{file}`"))
        .at(RELEASES, releases.lines.get(name).copied())
        .why(format!("{said}\nnothing is installed before every archive is there"))
        .hint("cargo xtask charts pull   # as soon as its server answers; what is there already is kept")
}

/// The file of an entry is not the one that was reviewed.
///
/// # Panics
/// The entry has no digest.
pub fn other(releases: &Releases, name: &str, got: &str) -> Problem {
    let found = pinned(releases).into_iter().find(|(entry, ..)| *entry == name);
    let (_, file, want) = found.expect("bug: only an entry with a digest can have another file");
    let line = [format!("{name}.sha256"), name.to_owned()].iter().find_map(|key| releases.lines.get(key)).copied();
    Problem::new(format!("the archive of `{name}` is another file than the list says: `{file}`"))
        .at(RELEASES, line)
        .why(format!("somebody published it anew, or it is not from where it should be\nwant {want}\ngot  {got}"))
        .hint(format!("look at both, and take the digest out of the list if the new one is good; rm out/charts/{file}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::samples::{LIST, digest, fleet, list};
    use std::time::Duration;
    use tool::{Command, Exit, Output, builtin};

    fn failure(step: &str, stdout: &str) -> Failure {
        let command: Command = builtin::sha256("charts/x");
        let output = Output { stdout: stdout.into(), ..Output::of(Exit::Code(0)) };
        let (why, took) = ("no".to_owned(), Duration::ZERO);
        Failure { step: step.into(), precondition: false, attempt: 4, attempts: 4, command, output, took, why }
    }

    #[test]
    fn another_digest_names_release_file_want_and_got() {
        let releases = list(LIST, &fleet());
        let got = digest('b');
        let problem = problems(&releases, &failure("charts/cilium-1.20.0", &format!("{got}\n"))).remove(0);
        assert_eq!(problem.what, "the archive of `cilium` is another file than the list says: `cilium-1.20.0.tgz`");
        assert_eq!(problem.at.unwrap().to_string(), "charts/releases.toml:12");
        assert!(problem.why.unwrap().ends_with(&format!("want {}\ngot  {got}", digest('a'))));
    }

    #[test]
    fn a_server_that_is_down_is_told_with_release_file_and_line() {
        let releases = list(LIST, &fleet());
        let command = Command::act(tool::Tool::Helm, ["pull"]);
        let output = Output { stderr: "WARN x\nError: no such host\n".into(), ..Output::of(Exit::Code(1)) };
        let failure = Failure { command, output, ..failure("charts/cilium-1.20.0", "") };
        let [problem] = &problems(&releases, &failure)[..] else { panic!("one problem") };
        assert_eq!(problem.what, "cannot download what `cilium` is installed from: `cilium-1.20.0.tgz`");
        assert!(problem.at.as_ref().unwrap().to_string().starts_with("charts/releases.toml:"));
        assert!(problem.why.as_ref().unwrap().starts_with("Error: no such host\n"));
    }

    #[test]
    fn other_failures_mean_nothing_here() {
        let releases = list(LIST, &fleet());
        for (step, stdout) in [
            ("charts/cilium-1.20.0", ""),
            ("charts/cilium-1.20.0", "Error: no such host"),
            ("charts/plain-1.2.3", &digest('b')),
            ("app1/cilium", &digest('b')),
        ] {
            assert_eq!(problems(&releases, &failure(step, stdout)), []);
        }
    }
}
