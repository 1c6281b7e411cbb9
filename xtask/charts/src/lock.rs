//! Digests in `charts/releases.toml`: which entries have none, and how one is written in, in place.
//! Knows nothing of how a digest is learnt.

use super::edit::Lines;
use model::fleet::Fleet;
use model::problem::Problem;
use model::release::RELEASES;
use model::release::{self, Chart, Manifest, Releases, Source};

/// Names of the entries that are downloaded and have no digest for their version, in the order written.
pub fn unlocked(releases: &Releases) -> Vec<String> {
    let charts = releases.charts.iter().filter(|c| c.sha256.is_none()).map(|c| &c.placement.name);
    let open = |m: &&Manifest| matches!(&m.source, Source::Url { sha256: None, .. });
    charts.chain(releases.manifests.iter().filter(open).map(|m| &m.placement.name)).cloned().collect()
}

/// The list with a digest for an entry's version. `version` is the one that the fleet pins, for entries that stand
/// under versions; others have one digest alone.
///
/// # Errors
/// The list is written in a way that this does not know: it reads differently afterwards than it should. Nothing is
/// guessed then.
pub fn lock(text: &str, releases: &Releases, fleet: &Fleet, name: &str, digest: &str) -> Result<String, Problem> {
    let mut lines = Lines::of(text);
    let at = |key: &str| releases.lines.get(&format!("{name}.{key}")).copied();
    let entry = releases.lines.get(name).copied().unwrap_or(1);
    match (by_version(&lines, releases, name).then(|| release::pinned(fleet, name)).flatten(), at("sha256")) {
        (Some(version), Some(table)) => below_version(&mut lines, table, &version, digest),
        (Some(version), None) => new_table(&mut lines, entry, &version, digest),
        (None, Some(line)) => drop(lines.quoted(line, &held(releases, name).unwrap_or_default(), digest)),
        (None, None) => {
            let above = at("version").or(at("url")).unwrap_or(entry);
            lines.insert_after(above, &[format!("sha256 = \"{digest}\"")]);
        }
    }
    let text = lines.text();
    let mut want = releases.clone();
    put(&mut want, name, Some(digest.to_owned()));
    reads_as(&text, fleet, &want).map(|()| text).map_err(|why| {
        let problem = Problem::new(format!("cannot write the digest of `{name}` into the list"));
        let line = releases.lines.get(name).copied();
        problem.at(RELEASES, line).why(why).hint(format!("write it yourself: sha256 = \"{digest}\""))
    })
}

/// Whether an entry's digests stand under versions, because the fleet pins its version.
pub(super) fn by_version(lines: &Lines, releases: &Releases, name: &str) -> bool {
    let at = |key: &str| lines.line(releases.lines.get(&format!("{name}.{key}")).copied().unwrap_or(0));
    let value = |line: &str| line.split_once('=').map_or(String::new(), |(_, value)| value.trim().to_owned());
    let table = |line: &str| line.starts_with('[') || value(line).starts_with('{');
    ["\"fleet\"", "'fleet'"].iter().any(|word| value(at("version")).starts_with(word))
        || table(at("url"))
        || table(at("sha256"))
}

/// What is wrong with a text that should read as `want`, in one sentence.
pub(super) fn reads_as(text: &str, fleet: &Fleet, want: &Releases) -> Result<(), String> {
    let got = release::load(RELEASES, text, fleet)
        .map_err(|problems| problems.first().map_or_else(String::new, |p| format!("it would not load: {}", p.what)))?;
    match got.charts == want.charts && got.manifests == want.manifests {
        true => Ok(()),
        false => Err("the entry is written in a way that was not expected; nothing was changed".to_owned()),
    }
}

/// Gives an entry another digest, or none.
pub(super) fn put(releases: &mut Releases, name: &str, digest: Option<String>) {
    if let Some(chart) = releases.charts.iter_mut().find(|c| c.placement.name == name) {
        chart.sha256 = digest;
    } else if let Some(manifest) = releases.manifests.iter_mut().find(|m| m.placement.name == name)
        && let Source::Url { sha256, .. } = &mut manifest.source
    {
        *sha256 = digest;
    }
}

/// The digest that an entry has.
fn held(releases: &Releases, name: &str) -> Option<String> {
    let chart = |c: &&Chart| c.placement.name == name;
    if let Some(chart) = releases.charts.iter().find(chart) {
        return chart.sha256.clone();
    }
    match &releases.manifests.iter().find(|m| m.placement.name == name)?.source {
        Source::Url { sha256, .. } => sha256.clone(),
        Source::File(_) => None,
    }
}

/// Writes `"version" = "digest"` into the table that begins at a line, in place of what that version had.
fn below_version(lines: &mut Lines, header: usize, version: &str, digest: &str) {
    let end = lines.next_header(header);
    let key = format!("\"{version}\"");
    let row = (header + 1..end).find(|n| lines.line(*n).starts_with(&key));
    if let Some(row) = row {
        lines.remove(row);
    }
    let end = lines.next_header(header);
    let above = row.map_or_else(|| lines.last_key(header, end), |row| row - 1);
    lines.insert_after(above, &[format!("{key} = \"{digest}\"")]);
}

/// Begins the table of digests of an entry, behind its plain keys and before any other table of it.
fn new_table(lines: &mut Lines, entry: usize, version: &str, digest: &str) {
    let kind = lines.line(entry).trim_matches(['[', ']']).trim().to_owned();
    let above = lines.last_key(entry, lines.next_header(entry));
    let table = [String::new(), format!("[{kind}.sha256]"), format!("\"{version}\" = \"{digest}\"")];
    lines.insert_after(above, &table);
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::samples::{LIST, digest, fleet, list};

    fn check(text: &str, name: &str, letter: char) -> String {
        let fleet = fleet();
        let releases = list(text, &fleet);
        let text = lock(text, &releases, &fleet, name, &digest(letter)).unwrap();
        let again = list(&text, &fleet);
        assert!(!unlocked(&again).contains(&name.to_owned()));
        let other: Vec<String> = unlocked(&releases).into_iter().filter(|n| n != name).collect();
        assert_eq!(unlocked(&again), other, "no other entry is touched");
        text
    }

    #[test]
    fn entries_without_a_digest_are_named() {
        let fleet = fleet();
        assert_eq!(unlocked(&list(LIST, &fleet)), ["plain", "gateway-api"]);
        assert_eq!(
            unlocked(&list(&LIST.replace("\"1.20.0\" =", "\"1.19.0\" ="), &fleet)),
            ["cilium", "plain", "gateway-api"]
        );
    }

    #[test]
    fn a_digest_stands_below_its_version_and_all_else_stays() {
        let text = check(LIST, "plain", 'b');
        let want = LIST.replace(
            "version = \"1.2.3\" # why\n",
            &format!("version = \"1.2.3\" # why\nsha256 = \"{}\"\n", digest('b')),
        );
        assert_eq!(text, want);
        // Another digest for the same version.
        assert_eq!(check(&text, "plain", 'c'), want.replace(&digest('b'), &digest('c')));
    }

    #[test]
    fn a_version_of_the_fleet_has_its_row() {
        let text = check(&LIST.replace("\"1.20.0\" =", "\"1.19.0\" ="), "cilium", 'b');
        let rows = format!("\"1.19.0\" = \"{}\"\n\"1.20.0\" = \"{}\"\n", digest('a'), digest('b'));
        assert!(text.contains(&rows), "{text}");
        assert_eq!(check(LIST, "cilium", 'c'), LIST.replace(&digest('a'), &digest('c')));
    }

    #[test]
    fn a_table_is_begun_where_there_is_none() {
        let text = check(LIST, "gateway-api", 'd');
        assert!(text.contains(&format!("\n[manifest.sha256]\n\"1.6.1\" = \"{}\"\n", digest('d'))), "{text}");
        assert!(text.contains("# The end."), "{text}");
    }
}
