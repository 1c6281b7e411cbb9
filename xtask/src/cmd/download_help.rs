//! Explains a failed download or a digest mismatch: which release, which file, which line of the list.

use model::problem::Problem;
use model::release::{RELEASES, Releases};
use plan::bootstrap;
use plan::engine::Failure;
use tool::{Exit, Tool, builtin};

/// A downloaded entry of the list.
pub struct Download<'a> {
    pub name: &'a str,
    /// In `out/charts`.
    pub file: String,
    pub sha256: Option<&'a str>,
}

pub fn downloads(releases: &Releases) -> impl Iterator<Item = Download<'_>> {
    let charts = releases.charts.iter().map(|c| (&c.placement.name, c.archive(), c.sha256.as_deref()));
    let manifests = releases.manifests.iter().filter(|m| m.is_downloaded());
    let manifests = manifests.map(|m| (&m.placement.name, bootstrap::file_of(m), m.sha256()));
    charts.chain(manifests).map(|(name, file, sha256)| Download { name, file, sha256 })
}

/// The problem behind a failed download or a digest mismatch; none for other failures.
pub fn explain_failure(releases: &Releases, failure: &Failure) -> Vec<Problem> {
    let mut of_step = downloads(releases).filter(|d| bootstrap::archive_step(&d.file) == failure.step);
    let is_mismatch = failure.output.exit == Exit::Code(builtin::MISMATCH) && failure.command.tool == Tool::Builtin;
    if failure.command.mutates && !is_mismatch {
        // Several releases may share an archive: the first is reported.
        return of_step.next().map(|download| download_failed(releases, &download, failure)).into_iter().collect();
    }
    let got = failure.output.stderr.lines().find_map(|line| line.strip_prefix("got  sha256:"));
    let got = got.unwrap_or(failure.output.stdout.trim());
    let is_digest = got.len() == 64 && got.bytes().all(|b| b.is_ascii_hexdigit());
    of_step.filter(|_| is_digest).filter_map(|download| mismatch(releases, &download, got)).collect()
}

/// The server is down, or has no such file.
fn download_failed(releases: &Releases, Download { name, file, .. }: &Download<'_>, failure: &Failure) -> Problem {
    let reason = failure.output.reason().unwrap_or_else(|| failure.why.clone());
    Problem::new(format!("cannot download what `{name}` is installed from: `{file}`"))
        .at(RELEASES, releases.line(name))
        .why(format!("{reason}\nnothing is installed before every archive is downloaded"))
        .hint("cargo xtask charts pull   # once its server is reachable; downloaded archives are not fetched again")
}

/// A problem if a file has another digest than its entry in the list.
pub fn mismatch(releases: &Releases, Download { name, file, sha256 }: &Download<'_>, got: &str) -> Option<Problem> {
    let want = sha256.filter(|want| *want != got)?;
    let line = releases.line(&format!("{name}.sha256")).or(releases.line(name));
    let why = "upstream re-published this version, or the download is not authentic";
    let problem = Problem::new(format!("digest mismatch for `{name}`: `{file}`")).at(RELEASES, line);
    let hint = "compare both files, and remove the digest from the list if the new one is good";
    Some(problem.why(format!("{why}\nwant {want}\ngot  {got}")).hint(format!("{hint}; rm out/charts/{file}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::samples::{LIST, digest, fleet, list};
    use std::time::Duration;
    use tool::{Command, Output};

    fn failure(step: &str, stdout: &str) -> Failure {
        let command: Command = builtin::sha256("charts/x");
        let output = Output { stdout: stdout.into(), ..Output::of(Exit::Code(0)) };
        let (why, took) = ("no".to_owned(), Duration::ZERO);
        Failure { step: step.into(), precondition: false, attempt: 4, attempts: 4, command, output, took, why }
    }

    #[test]
    fn digest_mismatch_names_release_file_and_both_digests() {
        let releases = list(LIST, &fleet());
        let got = digest('b');
        let problem = explain_failure(&releases, &failure("charts/cilium-1.20.2", &format!("{got}\n"))).remove(0);
        assert_eq!(problem.what, "digest mismatch for `cilium`: `cilium-1.20.2.tgz`");
        assert_eq!(problem.at.unwrap().to_string(), "charts/releases.toml:12");
        assert!(problem.why.unwrap().ends_with(&format!("want {}\ngot  {got}", digest('a'))));
        let command = builtin::check("charts/x", "sha256:…");
        let stderr = format!("digest mismatch for x\nwant …\ngot  sha256:{got}\n");
        let output = Output { stderr, ..Output::of(Exit::Code(builtin::MISMATCH)) };
        let checked = Failure { command, output, ..failure("charts/cilium-1.20.2", "") };
        assert_eq!(explain_failure(&releases, &checked)[0].what, problem.what);
    }

    #[test]
    fn failed_download_names_release_file_and_line() {
        let releases = list(LIST, &fleet());
        let command = Command::act(tool::Tool::Helm, ["pull"]);
        let output = Output { stderr: "WARN x\nError: no such host\n".into(), ..Output::of(Exit::Code(1)) };
        let failure = Failure { command, output, ..failure("charts/cilium-1.20.2", "") };
        let [problem] = &explain_failure(&releases, &failure)[..] else { panic!("one problem") };
        assert_eq!(problem.what, "cannot download what `cilium` is installed from: `cilium-1.20.2.tgz`");
        assert!(problem.at.as_ref().unwrap().to_string().starts_with("charts/releases.toml:"));
        assert!(problem.why.as_ref().unwrap().starts_with("no such host\n"));
    }

    #[test]
    fn other_failures_are_not_explained() {
        let releases = list(LIST, &fleet());
        for (step, stdout) in [
            ("charts/cilium-1.20.2", ""),
            ("charts/cilium-1.20.2", "Error: no such host"),
            ("charts/plain-1.2.3", &digest('b')),
            ("app1/cilium", &digest('b')),
        ] {
            assert_eq!(explain_failure(&releases, &failure(step, stdout)), []);
        }
    }
}
