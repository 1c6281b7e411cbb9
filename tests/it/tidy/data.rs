//! Data files hold no placeholder, no path of this machine, no package mirror, and no source without a digest.

use regex::Regex;

use super::{File, Finding, tree};

/// Hosts of package registries and mirrors: tools bring their own defaults, and a mirror belongs to one network.
const REGISTRIES: &[&str] = &[
    "index.crates.io",
    "static.crates.io",
    "registry.npmjs.org",
    "pypi.org/simple",
    "proxy.golang.org",
    "deb.debian.org",
    "archive.ubuntu.com",
    "ports.ubuntu.com",
];

/// Braces that are no placeholder of ours but the language of the tool that reads the file.
const OWN_BRACES: &[(&str, &str)] = &[
    ("infra/manifests/grafana-dashboard.yaml", "legends of Grafana"),
    ("infra/manifests/argocd-apps.yaml", "generators of an ApplicationSet"),
    ("infra/docker/compose.yaml", "variables of compose, with defaults"),
];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn is_shell(file: &File) -> bool {
    file.ends(&[".sh"]) || file.text.lines().next().is_some_and(|line| line.starts_with("#!") && line.ends_with("sh"))
}

pub(super) fn placeholders(files: &[File]) -> Vec<Finding> {
    let mut out = Vec::new();
    for file in files.iter().filter(|f| f.below(&["infra/", "charts/"])) {
        let shell = is_shell(file);
        for (line, text) in file.lines() {
            for mark in ["{{", "${", "@@", "<%", "<fact:", "<secret:"] {
                let tools = OWN_BRACES.iter().any(|(path, _)| file.path == *path);
                let own = match mark {
                    "${" => shell || tools,
                    "{{" => tools,
                    _ => false,
                };
                if text.contains(mark) && !own {
                    let what = format!("placeholder `{mark}`");
                    out.push(file.finding(line, "data", what, "let Rust set the key (ADR-0004)"));
                }
            }
        }
    }
    out
}

fn checkout() -> Vec<String> {
    let root = tree::root();
    let deep = root.ancestors().filter(|path| path.components().count() > 2);
    deep.filter_map(|path| path.to_str().map(str::to_owned)).collect()
}

pub(super) fn places(files: &[File]) -> Vec<Finding> {
    let checkout = checkout();
    let mut out = Vec::new();
    for file in files.iter().filter(|f| !f.is_tidy_itself() && !f.ends(&["Cargo.lock"])) {
        for (line, text) in file.lines() {
            if checkout.iter().any(|path| has_path(text, path)) {
                out.push(file.finding(line, "places", "a path of this machine", "make it relative to the repository"));
            }
            for host in REGISTRIES.iter().filter(|host| text.contains(**host)) {
                let what = format!("registry host `{host}`");
                out.push(file.finding(line, "places", what, "leave it to the tool's own configuration"));
            }
        }
    }
    out
}

fn has_path(text: &str, path: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || "_.-".contains(c);
    text.match_indices(path).any(|(at, _)| {
        !text[..at].ends_with(inside) && !text[..at].ends_with('/') && !text[at + path.len()..].starts_with(inside)
    })
}

pub(super) fn lock_sources(files: &[File]) -> Vec<Finding> {
    let mut out = Vec::new();
    for file in files.iter().filter(|f| f.path == "Cargo.lock") {
        for (line, text) in file.lines() {
            if let Some(source) = text.strip_prefix("source = ").filter(|s| s.trim_matches('"') != CRATES_IO) {
                out.push(file.finding(line, "lock", source, "take the crate from crates.io"));
            }
        }
    }
    for file in files.iter().filter(|f| f.below(&[".cargo/"])) {
        for (line, text) in file.lines().filter(|(_, text)| text.starts_with("[source") || text.starts_with("[regist"))
        {
            out.push(file.finding(line, "lock", text, "a mirror belongs into the user's own cargo home"));
        }
    }
    out
}

/// Every host in the data stands in backticks in an ADR, which says how a download from it is verified.
pub(super) fn sources(files: &[File]) -> Vec<Finding> {
    let records: String = files.iter().filter(|f| f.below(&["adr/"])).map(|f| f.text.as_str()).collect();
    let address = Regex::new(r"(?:https?|oci)://([A-Za-z0-9.-]+)").expect("a pattern");
    let mut out = Vec::new();
    for file in files.iter().filter(|f| f.below(&["infra/", "charts/"])) {
        for (line, text) in file.lines().filter(|(_, text)| !text.trim_start().starts_with('#')) {
            let hosts = address.captures_iter(text).map(|found| found[1].to_owned());
            for host in hosts.filter(|host| is_elsewhere(host) && !records.contains(&format!("`{host}`"))) {
                let what = format!("no ADR names {host}");
                out.push(file.finding(line, "data", what, "pin a digest, and add a row to the ADR on downloads"));
            }
        }
    }
    out
}

/// Not in a cluster, on this machine, or an address.
fn is_elsewhere(host: &str) -> bool {
    let own = [".local", ".test"].iter().any(|end| host.ends_with(end));
    !own && host.contains('.') && !host.chars().all(|c| c.is_ascii_digit() || c == '.')
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn placeholders_are_found_and_shell_variables_are_not() {
        let files = [
            ("infra/a.yaml", "x: {{ y }}\nz: ${Z}\n"),
            ("infra/node/prep", "#!/usr/bin/env bash\necho ${Z}\necho @@Z@@\n"),
            ("README.md", "{{"),
        ];
        let want = [
            "infra/a.yaml:1 data: placeholder `{{`",
            "infra/a.yaml:2 data: placeholder `${`",
            "infra/node/prep:3 data: placeholder `@@`",
        ];
        check(placeholders, &files, &want);
    }

    #[test]
    fn places_of_one_machine_are_found() {
        let root = tree::root();
        let text = format!("cd {}/xtask\nsee xtask/src\nhttps://static.crates.io/x\n", root.display());
        let deep = root.components().count() > 2;
        let mut want = vec!["a.md:3 places: registry host `static.crates.io`"];
        if deep {
            want.insert(0, "a.md:1 places: a path of this machine");
        }
        check(places, &[("a.md", &text)], &want);
    }

    #[test]
    fn source_without_an_adr_is_found() {
        let bad = "# https://docs.example.org\nurl = \"https://a.example.org/x.tgz\"\nserver: http://vault.vault.local:8200\n\
                   repository = \"oci://b.example.org/charts\"\n";
        let files = [("charts/releases.toml", bad), ("adr/0019-x.md", "| charts | `b.example.org` | digest |")];
        check(sources, &files, &["charts/releases.toml:2 data: no ADR names a.example.org"]);
    }

    #[test]
    fn crates_from_other_registries_are_found() {
        let lock = format!("source = \"{CRATES_IO}\"\nsource = \"git+https://example.org/x\"\n");
        let files = [("Cargo.lock", lock.as_str()), (".cargo/config.toml", "[alias]\n[source.mirror]\n")];
        let want = ["Cargo.lock:2 lock: \"git+https://example.org/x\"", ".cargo/config.toml:2 lock: [source.mirror]"];
        check(lock_sources, &files, &want);
    }
}
