//! Which builds of the command-line tools are pinned: `infra/tools.toml`, typed and checked against the fleet.
//! Knows nothing of which of them this machine has, or how one gets there.

use std::fmt;

use semver::{Version, VersionReq};

use super::Fleet;
use super::document::{Kind, Notes, Table, parse};
use crate::problem::Problem;

/// Where a tool runs: an operating system and a processor, as `own machine` names them.
pub const PLATFORMS: [&str; 4] = ["macos-aarch64", "macos-x86_64", "linux-aarch64", "linux-x86_64"];

/// A tool that is pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// Its executable: `helm`.
    pub name: String,
    /// The one version.
    pub version: Version,
    /// The page on which its project publishes the digests.
    pub published: String,
    /// Its archive for each platform that has one.
    pub archives: Vec<Archive>,
}

/// One download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// One of [`PLATFORMS`].
    pub platform: String,
    /// Where it is; it ends in `.tar.gz`.
    pub url: String,
    /// What it must be.
    pub digest: Digest,
    /// The executable inside of it.
    pub member: String,
}

impl Archive {
    /// The name of the file.
    pub fn file(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }
}

/// A digest as its project publishes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Digest {
    /// 64 hexadecimal digits.
    Sha256(String),
    /// 128 hexadecimal digits.
    Sha512(String),
}

/// `sha256:70b2…`
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Digest::Sha256(hex) => write!(f, "sha256:{hex}"),
            Digest::Sha512(hex) => write!(f, "sha512:{hex}"),
        }
    }
}

const TEXT: Kind<String> = Kind { want: "a text", example: "\"helm\"", read: |v| v.as_str().map(str::to_owned) };
const VERSION: Kind<Version> =
    Kind { want: "a full version", example: "\"4.1.4\"", read: |v| v.as_str().and_then(|s| Version::parse(s).ok()) };
const PAGE: Kind<String> = Kind {
    want: "an https address",
    example: "\"https://…\"",
    read: |v| v.as_str().filter(|s| https(s)).map(str::to_owned),
};
const ARCHIVE: Kind<String> = Kind {
    want: "the https address of a .tar.gz",
    example: "\"https://….tar.gz\"",
    read: |v| v.as_str().filter(|s| https(s) && s.ends_with(".tar.gz")).map(str::to_owned),
};
const PLATFORM: Kind<String> = Kind {
    want: "a platform",
    example: "\"macos-aarch64\"",
    read: |v| v.as_str().filter(|s| PLATFORMS.contains(s)).map(str::to_owned),
};
const SHA256: Kind<String> = Kind { want: "64 hexadecimal digits", example: "\"…\"", read: |v| hex(v.as_str()?, 64) };
const SHA512: Kind<String> =
    Kind { want: "128 hexadecimal digits", example: "\"…\"", read: |v| hex(v.as_str()?, 128) };
const MEMBER: Kind<String> = Kind {
    want: "a path inside the archive",
    example: "\"linux-amd64/helm\"",
    read: |v| v.as_str().filter(|s| inside(s)).map(str::to_owned),
};

fn https(text: &str) -> bool {
    text.starts_with("https://") && text.bytes().all(|b| b.is_ascii_graphic())
}

fn hex(text: &str, digits: usize) -> Option<String> {
    let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (text.len() == digits && text.bytes().all(lower)).then(|| text.to_owned())
}

/// Neither a flag nor a way out.
fn inside(path: &str) -> bool {
    let part = |p: &str| !p.is_empty() && p != "." && p != ".." && !p.starts_with('-');
    path.split('/').all(part) && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"./_-".contains(&b))
}

/// Reads the list for a fleet, which says what versions a run accepts.
///
/// # Errors
/// Every problem of the file at once.
pub fn load(file: &str, text: &str, fleet: &Fleet) -> Result<Vec<Binary>, Vec<Problem>> {
    let (entries, mut notes) = parse(file, text);
    let root = Table::root(&mut notes, &entries, &["tool"]);
    let mut found: Vec<Binary> = Vec::new();
    for (index, value) in root.tables(&mut notes, "tool", "[[tool]]").into_iter().enumerate() {
        let title = Table::peek(value, "name").map_or("[[tool]]".to_owned(), |name| format!("tool `{name}`"));
        let place = (title, format!("tool.{}", index + 1));
        let table = Table::open(&mut notes, value, place, &["name", "version", "published", "archive"]);
        let Some(binary) = tool(&mut notes, &table, fleet) else { continue };
        if found.iter().any(|other| other.name == binary.name) {
            let problem = Problem::new(format!("`{}` stands here twice", binary.name));
            notes.add(problem.hint("one [[tool]] has an [[tool.archive]] for each platform"), table.line);
        }
        found.push(binary);
    }
    if notes.problems.is_empty() { Ok(found) } else { Err(notes.into_problems()) }
}

fn tool(notes: &mut Notes, table: &Table<'_>, fleet: &Fleet) -> Option<Binary> {
    let name = table.must(notes, "name", &TEXT);
    let version = table.must(notes, "version", &VERSION);
    let published = table.must(notes, "published", &PAGE);
    let mut archives: Vec<Archive> = Vec::new();
    for (index, value) in table.tables(notes, "archive", "[[tool.archive]]").into_iter().enumerate() {
        let place = (format!("an archive of {}", table.title), format!("{}.archive.{}", table.path, index + 1));
        let known = ["platform", "url", "sha256", "sha512", "member"];
        let inner = Table::open(notes, value, place, &known);
        let Some(archive) = archive(notes, &inner, version.value.as_ref()) else { continue };
        if archives.iter().any(|other| other.platform == archive.platform) {
            notes.add(Problem::new(format!("{} has two archives for {}", table.title, archive.platform)), inner.line);
        }
        archives.push(archive);
    }
    let (name, pinned) = (name.value?, version.value?);
    accepted(notes, fleet, &name, &pinned, version.line);
    Some(Binary { name, version: pinned, published: published.value?, archives })
}

fn archive(notes: &mut Notes, table: &Table<'_>, version: Option<&Version>) -> Option<Archive> {
    let platform = table.must(notes, "platform", &PLATFORM);
    let url = table.must(notes, "url", &ARCHIVE);
    let member = table.must(notes, "member", &MEMBER);
    let digest = if table.has("sha512") {
        table.may(notes, "sha512", &SHA512).value.map(Digest::Sha512)
    } else {
        table.must(notes, "sha256", &SHA256).value.map(Digest::Sha256)
    };
    if let (Some(address), Some(version)) = (&url.value, version)
        && !address.contains(&format!("v{version}"))
    {
        let problem = Problem::new(format!("the address of {} is not of version {version}", table.title));
        notes.add(problem.why(address).hint(format!("an address with `v{version}` in it, and its digest")), url.line);
    }
    Some(Archive { platform: platform.value?, url: url.value?, digest: digest?, member: member.value? })
}

/// A pinned version that a run would refuse is of no use.
fn accepted(notes: &mut Notes, fleet: &Fleet, name: &str, version: &Version, line: Option<usize>) {
    let Some((_, range)) = fleet.versions.tools.iter().find(|(tool, _)| tool == name) else {
        let known: Vec<&str> = fleet.versions.tools.iter().map(|(tool, _)| tool.as_str()).collect();
        let problem = Problem::new(format!("no run asks for a tool `{name}`"));
        return notes.add(problem.hint(format!("{} has {}", fleet.file, known.join(", "))), line);
    };
    if VersionReq::parse(range).is_ok_and(|range| !range.matches(version)) {
        let problem = Problem::new(format!("a run does not accept the pinned {name} {version}"));
        let why = format!("{}: [versions.tools] {name} = \"{range}\"", fleet.file);
        notes.add(problem.why(why).hint(format!("a version in {range}")), line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::fleet;

    const LIST: &str = include_str!("../../../../infra/tools.toml");

    fn wrong(text: &str) -> Vec<String> {
        load("t", text, &fleet())
            .unwrap_err()
            .iter()
            .map(|p| format!("{}: {}", p.at.as_ref().unwrap(), p.what))
            .collect()
    }

    #[test]
    fn ours_is_read_and_each_tool_has_linux() {
        let all = load("infra/tools.toml", LIST, &fleet()).unwrap();
        assert_eq!(all.iter().map(|b| b.name.as_str()).collect::<Vec<_>>(), ["helm", "kubectl", "cilium"]);
        for platform in ["linux-aarch64", "linux-x86_64"] {
            assert!(all.iter().all(|b| b.archives.iter().any(|a| a.platform == platform)), "{platform}");
        }
        assert_eq!(all[0].archives[0].file(), "helm-v4.1.4-darwin-arm64.tar.gz");
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let text = LIST
            .replacen("version = \"4.1.4\"", "version = \"5.0.0\"", 1)
            .replacen("sha256 = \"7c", "sha256 = \"ZZ", 1)
            .replacen("member = \"cilium\"", "member = \"../cilium\"", 1)
            .replacen("platform = \"macos-x86_64\"", "platform = \"macos-aarch64\"", 2);
        let all = wrong(&text).join("\n");
        for part in [
            "not of version 5.0.0",
            "does not accept the pinned helm 5.0.0",
            "`sha256` of an archive of tool `helm` is not 64 hexadecimal digits",
            "is not a path inside the archive: \"../cilium\"",
            "tool `kubectl` has two archives for macos-aarch64",
        ] {
            assert!(all.contains(part), "{part}\n{all}");
        }
        assert_eq!(wrong(&LIST.replace("name = \"cilium\"", "name = \"kustomize\"")).len(), 1);
        assert_eq!(wrong(&LIST.replace("name = \"cilium\"", "name = \"helm\"")).len(), 2, "twice, and a wrong version");
    }
}
