//! Digests in `charts/releases.toml`: which entries have none, and how one is written in place.

use super::edit::Lines;
use model::fleet::Fleet;
use model::problem::Problem;
use model::release::{self, RELEASES, Releases, Source};

/// Names of the downloaded entries without a digest for their version, in the order of the list.
pub fn unlocked(releases: &Releases) -> Vec<String> {
    let charts = releases.charts.iter().map(|c| (&c.placement.name, &c.sha256));
    let manifests = releases.manifests.iter().filter_map(|m| match &m.source {
        Source::Url { sha256, .. } => Some((&m.placement.name, sha256)),
        Source::File(_) => None,
    });
    charts.chain(manifests).filter(|(_, sha256)| sha256.is_none()).map(|(name, _)| name.clone()).collect()
}

/// The list with a digest of an entry's version: below that version if the fleet pins it, otherwise the only one.
///
/// # Errors
/// The list is written in an unexpected way: it would not load as it should. Nothing is guessed.
pub fn lock(text: &str, releases: &Releases, fleet: &Fleet, name: &str, digest: &str) -> Result<String, Problem> {
    let mut lines = Lines::of(text);
    let at = |key: &str| releases.line(&format!("{name}.{key}"));
    let entry = releases.line(name).unwrap_or(1);
    let pinned = if is_pinned_by_fleet(&lines, releases, name) { release::pinned(fleet, name) } else { None };
    match (pinned, at("sha256")) {
        (Some(version), Some(table)) => set_row(&mut lines, table, &version, digest),
        (Some(version), None) => add_table(&mut lines, entry, &version, digest),
        (None, Some(line)) => {
            let old = releases.chart(name).and_then(|c| c.sha256.as_deref());
            let old = old.or(releases.manifest(name).and_then(|m| m.sha256())).unwrap_or_default();
            lines.replace_quoted(line, old, digest);
        }
        (None, None) => {
            let above = at("version").or(at("url")).unwrap_or(entry);
            lines.insert_after(above, &[format!("sha256 = \"{digest}\"")]);
        }
    }
    let text = lines.text();
    let mut expected = releases.clone();
    set_digest(&mut expected, name, Some(digest.to_owned()));
    loads_as(&text, fleet, &expected).map(|()| text).map_err(|why| {
        let problem = Problem::new(format!("cannot write the digest of `{name}` into the list"));
        problem.at(RELEASES, releases.line(name)).why(why).hint(format!("write it yourself: sha256 = \"{digest}\""))
    })
}

/// Whether an entry's digests are listed by version, because the fleet pins its version.
pub(super) fn is_pinned_by_fleet(lines: &Lines, releases: &Releases, name: &str) -> bool {
    let at = |key: &str| lines.line(releases.line(&format!("{name}.{key}")).unwrap_or(0));
    let value = |line: &str| line.split_once('=').map_or(String::new(), |(_, value)| value.trim().to_owned());
    let table = |line: &str| line.starts_with('[') || value(line).starts_with('{');
    ["\"fleet\"", "'fleet'"].iter().any(|word| value(at("version")).starts_with(word))
        || table(at("url"))
        || table(at("sha256"))
}

/// Why a text does not load as the expected list, in one sentence.
pub(super) fn loads_as(text: &str, fleet: &Fleet, expected: &Releases) -> Result<(), String> {
    let loaded = release::load(RELEASES, text, fleet)
        .map_err(|problems| problems.first().map_or_else(String::new, |p| format!("it would not load: {}", p.what)))?;
    match loaded.charts == expected.charts && loaded.manifests == expected.manifests {
        true => Ok(()),
        false => Err("the entry is written in an unexpected way; nothing was changed".to_owned()),
    }
}

pub(super) fn set_digest(releases: &mut Releases, name: &str, digest: Option<String>) {
    if let Some(chart) = releases.charts.iter_mut().find(|c| c.placement.name == name) {
        chart.sha256 = digest;
    } else if let Some(manifest) = releases.manifests.iter_mut().find(|m| m.placement.name == name)
        && let Source::Url { sha256, .. } = &mut manifest.source
    {
        *sha256 = digest;
    }
}

/// Writes `"version" = "digest"` into the table that begins at a line, over the digest that the version has there.
fn set_row(lines: &mut Lines, table: usize, version: &str, digest: &str) {
    let row = lines.row_of(table, version);
    if let Some(row) = row {
        lines.remove(row);
    }
    let above = row.map_or_else(|| lines.last_key(table), |row| row - 1);
    lines.insert_after(above, &[format!("\"{version}\" = \"{digest}\"")]);
}

/// Adds the table of digests of an entry, after its plain keys and before any other table of it.
fn add_table(lines: &mut Lines, entry: usize, version: &str, digest: &str) {
    let kind = lines.line(entry).trim_matches(['[', ']']).trim().to_owned();
    let table = [String::new(), format!("[{kind}.sha256]"), format!("\"{version}\" = \"{digest}\"")];
    lines.insert_after(lines.last_key(entry), &table);
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::samples::{LIST, digest, fleet, list};

    fn lock_entry(text: &str, name: &str, letter: char) -> String {
        let fleet = fleet();
        let releases = list(text, &fleet);
        let text = lock(text, &releases, &fleet, name, &digest(letter)).unwrap();
        let other: Vec<String> = unlocked(&releases).into_iter().filter(|n| n != name).collect();
        assert_eq!(unlocked(&list(&text, &fleet)), other, "other entries are unchanged");
        text
    }

    #[test]
    fn unlocked_lists_entries_without_a_digest() {
        let fleet = fleet();
        assert_eq!(unlocked(&list(LIST, &fleet)), ["plain", "gateway-api"]);
        let other_version = LIST.replace("\"1.20.2\" =", "\"1.19.0\" =");
        assert_eq!(unlocked(&list(&other_version, &fleet)), ["cilium", "plain", "gateway-api"]);
    }

    #[test]
    fn digest_is_written_below_its_version() {
        let text = lock_entry(LIST, "plain", 'b');
        let version = "version = \"1.2.3\" # why\n";
        let expected = LIST.replace(version, &format!("{version}sha256 = \"{}\"\n", digest('b')));
        assert_eq!(text, expected);
        assert_eq!(lock_entry(&text, "plain", 'c'), expected.replace(&digest('b'), &digest('c')));
    }

    #[test]
    fn version_pinned_by_the_fleet_has_its_row() {
        let text = lock_entry(&LIST.replace("\"1.20.2\" =", "\"1.19.0\" ="), "cilium", 'b');
        let rows = format!("\"1.19.0\" = \"{}\"\n\"1.20.2\" = \"{}\"\n", digest('a'), digest('b'));
        assert!(text.contains(&rows), "{text}");
        assert_eq!(lock_entry(LIST, "cilium", 'c'), LIST.replace(&digest('a'), &digest('c')));
    }

    #[test]
    fn missing_table_is_added() {
        let text = lock_entry(LIST, "gateway-api", 'd');
        assert!(text.contains(&format!("\n[manifest.sha256]\n\"1.6.1\" = \"{}\"\n", digest('d'))), "{text}");
        assert!(text.contains("# The end."), "{text}");
    }
}
