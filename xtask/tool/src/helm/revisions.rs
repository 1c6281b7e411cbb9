//! Reads the table of all Helm revisions and of the objects that releases bring.

/// Columns behind name, type, data and age. An empty label prints as nothing, so those that our revisions always have are
/// first.
pub const LABELS: &str = "version,status,archipelago/chart,archipelago/values,archipelago/revision,archipelago/mesh";

/// The newest revision of a release. A failed one carries the labels of the one before it and stands beside it
/// (measured): only the newest counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// From 1.
    pub number: u64,
    /// `deployed`, `pending-upgrade`.
    pub status: String,
    /// Chart and version in our label, `cilium-1.20.0`; empty without one.
    pub chart: String,
    pub values: String,
    /// Whether its labels were written for it. Labels are sticky: a manual upgrade or rollback copies ours, with the number
    /// of the revision that they were written for.
    pub ours: bool,
    /// The digest of its peers, [`super::KEPT`], or empty.
    pub mesh: String,
}

impl Revision {
    /// As one line to match: `7 deployed cilium-1.20.0 DIGEST ours DIGEST`. What is empty is `-`.
    pub fn line(&self) -> String {
        let word = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let whose = if self.ours { "ours" } else { "foreign" };
        let words = [&self.status, &self.chart, &self.values, whose, &self.mesh].map(word);
        format!("{} {}", self.number, words.join(" "))
    }
}

/// `release` is `NAMESPACE/NAME`.
pub fn newest(table: &str, release: &str) -> Option<Revision> {
    table.lines().filter_map(|row| of_row(row, release)).max_by_key(|revision| revision.number)
}

/// Those of `rows` (`kube-system daemonset.apps/cilium`, without a namespace where the kind has none) that no line of
/// the table begins with.
pub fn missing<'a>(table: &str, rows: &'a [String]) -> Vec<&'a str> {
    let begins = |line: &str, row: &str| {
        let mut words = line.split_whitespace();
        // Most lines differ in their first word, and reading words is dear.
        line.trim_start().starts_with(row.split(' ').next().unwrap_or_default())
            && row.split(' ').all(|word| words.next() == Some(word))
    };
    rows.iter().filter(|row| !table.lines().any(|line| begins(line, row))).map(String::as_str).collect()
}

pub fn next(table: &str, release: &str) -> u64 {
    newest(table, release).map_or(1, |revision| revision.number.saturating_add(1))
}

fn of_row(row: &str, release: &str) -> Option<Revision> {
    let (namespace, name) = release.split_once('/')?;
    if !row.trim_start().starts_with(namespace) {
        return None;
    }
    let mut words = row.split_whitespace();
    words.next().filter(|place| *place == namespace)?;
    let number = words.next()?.strip_prefix("secret/sh.helm.release.v1.")?.strip_prefix(name)?.strip_prefix(".v")?;
    let number: u64 = number.parse().ok()?;
    // Type, number of keys, age, and the number once more.
    let mut words = words.skip(4).map(str::to_owned);
    let status = words.next()?;
    let mut label = || words.next().unwrap_or_default();
    let (chart, values, written, mesh) = (label(), label(), label(), label());
    Some(Revision { number, status, chart, values, ours: written == number.to_string(), mesh })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(place: &str, name: &str, number: u64, labels: &str) -> String {
        format!(
            "{place}   secret/sh.helm.release.v1.{name}.v{number}   helm.sh/release.v1   1   5m   {number}   {labels}\n"
        )
    }

    #[test]
    fn each_release_finds_its_own_newest_row() {
        let table = row("a", "x", 9, "deployed   x-1.0   abc   9")
            + &row("a", "x", 10, "failed   x-1.0   abc   10   def")
            + &row("b", "x", 11, "deployed   x-1.0   abc   11")
            + &row("a", "x.y", 12, "deployed");
        let line = |release| newest(&table, release).map(|revision| revision.line());
        assert_eq!(line("a/x").as_deref(), Some("10 failed x-1.0 abc ours def"));
        assert_eq!(line("b/x").as_deref(), Some("11 deployed x-1.0 abc ours -"));
        assert_eq!(line("a/x.y").as_deref(), Some("12 deployed - - foreign -"));
        assert_eq!(line("b/y"), None);
        assert_eq!((next(&table, "a/x"), next(&table, "b/y")), (11, 1));
    }

    #[test]
    fn inherited_labels_are_recognised_by_their_revision() {
        let table = row("a", "x", 4, "deployed   x-1.0   abc   4") + &row("a", "x", 5, "deployed   x-1.0   abc   4");
        assert!(!newest(&table, "a/x").unwrap().ours);
    }

    #[test]
    fn half_a_row_is_none() {
        let whole = row("a", "x", 14, "deployed   x-1.0   abc   14");
        for cut in 0..whole.len() - 1 {
            let found = newest(&whole[..cut], "a/x");
            assert!(found.is_none_or(|revision| !revision.ours), "{}", &whole[..cut]);
        }
        assert_eq!(newest("garbage\n\n", "a/x"), None);
    }
}
