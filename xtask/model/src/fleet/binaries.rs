//! Pinned builds of the command-line tools: `infra/tools.toml`, typed and checked against the fleet.

use std::fmt;

use semver::{Version, VersionReq};

use super::Fleet;
use super::document::{Diagnostics, FieldType, Table, parse};
use crate::problem::Problem;

/// Operating system and architecture, as the built-in `machine` prints them.
pub const PLATFORMS: [&str; 4] = ["macos-aarch64", "macos-x86_64", "linux-aarch64", "linux-x86_64"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// Its executable: `helm`.
    pub name: String,
    pub version: Version,
    /// The page where its project publishes the digests.
    pub published: String,
    /// Its archive for each platform that has one.
    pub archives: Vec<Archive>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// One of [`PLATFORMS`].
    pub platform: String,
    /// Ends in `.tar.gz`.
    pub url: String,
    pub digest: Digest,
    pub member: String,
}

impl Archive {
    pub fn file(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }
}

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

const TEXT: FieldType<String> =
    FieldType { expected: "a text", example: "\"helm\"", read: |v| v.as_str().map(str::to_owned) };
const VERSION: FieldType<Version> = FieldType {
    expected: "a full version",
    example: "\"4.1.4\"",
    read: |v| v.as_str().and_then(|s| Version::parse(s).ok()),
};
const PAGE: FieldType<String> = FieldType {
    expected: "an https URL",
    example: "\"https://…\"",
    read: |v| v.as_str().filter(|s| https(s)).map(str::to_owned),
};
const ARCHIVE: FieldType<String> = FieldType {
    expected: "the https URL of a .tar.gz",
    example: "\"https://….tar.gz\"",
    read: |v| v.as_str().filter(|s| https(s) && s.ends_with(".tar.gz")).map(str::to_owned),
};
const PLATFORM: FieldType<String> = FieldType {
    expected: "a platform",
    example: "\"macos-aarch64\"",
    read: |v| v.as_str().filter(|s| PLATFORMS.contains(s)).map(str::to_owned),
};
const SHA256: FieldType<String> =
    FieldType { expected: "64 hexadecimal digits", example: "\"…\"", read: |v| hex(v.as_str()?, 64) };
const SHA512: FieldType<String> =
    FieldType { expected: "128 hexadecimal digits", example: "\"…\"", read: |v| hex(v.as_str()?, 128) };
const MEMBER: FieldType<String> = FieldType {
    expected: "a path inside the archive",
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

/// Not a flag and not outside the folder.
fn inside(path: &str) -> bool {
    let part = |p: &str| !p.is_empty() && p != "." && p != ".." && !p.starts_with('-');
    path.split('/').all(part) && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"./_-".contains(&b))
}

/// Reads the list; `fleet` holds the accepted version ranges.
///
/// # Errors
/// Every problem of the file at once.
pub fn load(file: &str, text: &str, fleet: &Fleet) -> Result<Vec<Binary>, Vec<Problem>> {
    let (entries, mut diagnostics) = parse(file, text);
    let root = Table::root(&mut diagnostics, &entries, &["tool"]);
    let mut found: Vec<Binary> = Vec::new();
    for (index, value) in root.tables(&mut diagnostics, "tool", "[[tool]]").into_iter().enumerate() {
        let title = Table::peek(value, "name").map_or("[[tool]]".to_owned(), |name| format!("tool `{name}`"));
        let place = (title, format!("tool.{}", index + 1));
        let table = Table::open(&mut diagnostics, value, place, &["name", "version", "published", "archive"]);
        let Some(binary) = tool(&mut diagnostics, &table, fleet) else { continue };
        if found.iter().any(|other| other.name == binary.name) {
            let problem = Problem::new(format!("duplicate tool `{}`", binary.name));
            diagnostics.add(problem.hint("one [[tool]] with a [[tool.archive]] per platform"), table.line);
        }
        found.push(binary);
    }
    if diagnostics.problems.is_empty() { Ok(found) } else { Err(diagnostics.into_problems()) }
}

fn tool(diagnostics: &mut Diagnostics, table: &Table<'_>, fleet: &Fleet) -> Option<Binary> {
    let name = table.required(diagnostics, "name", &TEXT);
    let version = table.required(diagnostics, "version", &VERSION);
    let published = table.required(diagnostics, "published", &PAGE);
    let mut archives: Vec<Archive> = Vec::new();
    for (index, value) in table.tables(diagnostics, "archive", "[[tool.archive]]").into_iter().enumerate() {
        let place = (format!("an archive of {}", table.title), format!("{}.archive.{}", table.path, index + 1));
        let known = ["platform", "url", "sha256", "sha512", "member"];
        let inner = Table::open(diagnostics, value, place, &known);
        let Some(archive) = archive(diagnostics, &inner, version.value.as_ref()) else { continue };
        if archives.iter().any(|other| other.platform == archive.platform) {
            diagnostics
                .add(Problem::new(format!("{} has two archives for {}", table.title, archive.platform)), inner.line);
        }
        archives.push(archive);
    }
    let (name, pinned) = (name.value?, version.value?);
    accepted(diagnostics, fleet, &name, &pinned, version.line);
    Some(Binary { name, version: pinned, published: published.value?, archives })
}

fn archive(diagnostics: &mut Diagnostics, table: &Table<'_>, version: Option<&Version>) -> Option<Archive> {
    let platform = table.required(diagnostics, "platform", &PLATFORM);
    let url = table.required(diagnostics, "url", &ARCHIVE);
    let member = table.required(diagnostics, "member", &MEMBER);
    let digest = if table.has("sha512") {
        table.optional(diagnostics, "sha512", &SHA512).value.map(Digest::Sha512)
    } else {
        table.required(diagnostics, "sha256", &SHA256).value.map(Digest::Sha256)
    };
    if let (Some(address), Some(version)) = (&url.value, version)
        && !address.contains(&format!("v{version}"))
    {
        let problem = Problem::new(format!("the URL of {} is not for version {version}", table.title));
        diagnostics
            .add(problem.why(address).hint(format!("use a URL that contains `v{version}`, and its digest")), url.line);
    }
    Some(Archive { platform: platform.value?, url: url.value?, digest: digest?, member: member.value? })
}

/// The pinned version must satisfy `[versions.tools]`.
fn accepted(diagnostics: &mut Diagnostics, fleet: &Fleet, name: &str, version: &Version, line: Option<usize>) {
    let Some((_, range)) = fleet.versions.tools.iter().find(|(tool, _)| tool == name) else {
        let known: Vec<&str> = fleet.versions.tools.iter().map(|(tool, _)| tool.as_str()).collect();
        let problem = Problem::new(format!("unknown tool `{name}`"));
        return diagnostics.add(problem.hint(format!("{} has {}", fleet.file, known.join(", "))), line);
    };
    if VersionReq::parse(range).is_ok_and(|range| !range.matches(version)) {
        let problem = Problem::new(format!("the pinned {name} {version} is outside the accepted range"));
        let why = format!("{}: [versions.tools] {name} = \"{range}\"", fleet.file);
        diagnostics.add(problem.why(why).hint(format!("a version in {range}")), line);
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
    fn the_shipped_list_is_valid_and_covers_linux() {
        let all = load("infra/tools.toml", LIST, &fleet()).unwrap();
        assert_eq!(all.iter().map(|b| b.name.as_str()).collect::<Vec<_>>(), ["helm", "kubectl", "cilium"]);
        for platform in ["linux-aarch64", "linux-x86_64"] {
            assert!(all.iter().all(|b| b.archives.iter().any(|a| a.platform == platform)), "{platform}");
        }
        assert_eq!(all[0].archives[0].file(), "helm-v4.1.4-darwin-arm64.tar.gz");
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let text = LIST
            .replacen("version = \"4.1.4\"", "version = \"5.0.0\"", 1)
            .replacen("sha256 = \"7c", "sha256 = \"ZZ", 1)
            .replacen("member = \"cilium\"", "member = \"../cilium\"", 1)
            .replacen("platform = \"macos-x86_64\"", "platform = \"macos-aarch64\"", 2);
        let all = wrong(&text).join("\n");
        for part in [
            "not for version 5.0.0",
            "the pinned helm 5.0.0 is outside the accepted range",
            "`sha256` of an archive of tool `helm` is not 64 hexadecimal digits",
            "is not a path inside the archive: \"../cilium\"",
            "tool `kubectl` has two archives for macos-aarch64",
        ] {
            assert!(all.contains(part), "{part}\n{all}");
        }
        assert_eq!(wrong(&LIST.replace("name = \"cilium\"", "name = \"kustomize\"")).len(), 1);
        assert_eq!(
            wrong(&LIST.replace("name = \"cilium\"", "name = \"helm\"")).len(),
            2,
            "duplicate, and a wrong version"
        );
    }
}
