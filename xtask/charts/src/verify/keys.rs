//! Finds keys of our values that a chart does not have: Helm ignores them silently. No schema of our charts refuses an
//! unknown key (measured), so the chart's own `values.yaml` is the list of known ones.

use serde_json::{Value, json};

use model::problem::{Problem, nearest};
use model::release::{Chart, RELEASES, Releases};
use model::yaml::{Document, Path};
use render::merge;

pub struct ChartValues<'a> {
    /// Its `values.yaml`, as in the archive.
    pub text: &'a str,
    pub values: &'a Document,
    /// Names of its subcharts: values below them are theirs.
    pub subcharts: &'a [String],
    /// Keys that enable or disable a subchart, as dotted paths.
    pub conditions: &'a [String],
    /// Where its values are among ours: at the root, or below its name if it is a subchart.
    pub prefix: &'a [String],
}

/// Problems for our keys that a chart does not have: those of `charts/<release>/values.yaml` and of `bindings`. Keys of one
/// section without a suggestion are one problem.
pub fn unknown_keys(releases: &Releases, chart: &Chart, written: &Document, offer: &ChartValues<'_>) -> Vec<Problem> {
    let free: Vec<Path> = chart.free.iter().map(|dotted| merge::path(dotted)).collect();
    let walk = Walk { offer, free: &free };
    let unknown = walk.unknown(&written.value);
    let mut problems = Vec::new();
    for paths in unknown.chunk_by(|a, b| a[..a.len() - 1] == b[..b.len() - 1]) {
        let (typos, others): (Vec<&Path>, Vec<&Path>) =
            paths.iter().partition(|path| suggestion(offer, path).is_some());
        let groups = typos.into_iter().map(|path| vec![path]).chain((!others.is_empty()).then_some(others));
        problems.extend(groups.map(|g| problem(chart, offer, &g).at(written.file.clone(), written.line(g[0]))));
    }
    let name = &chart.placement.name;
    let at = releases.line(&format!("{name}.bindings")).or(releases.line(name));
    for key in chart.bindings.keys() {
        let value = merge::path(key).into_iter().rev().fold(Value::Null, |below, key| json!({ key: below }));
        problems.extend(walk.unknown(&value).iter().map(|path| problem(chart, offer, &[path]).at(RELEASES, at)));
    }
    problems
}

/// The key of the chart that was most likely intended.
fn suggestion<'a>(offer: &'a ChartValues<'_>, path: &Path) -> Option<&'a str> {
    let (last, above) = path[offer.prefix.len()..].split_last().expect("bug: a key has a name");
    let section = above.iter().try_fold(&offer.values.value, |value, key| value.get(key))?;
    nearest(last, section.as_object()?.keys().map(String::as_str))
}

/// The problem of keys of one section, with their full paths in our values.
fn problem(chart: &Chart, offer: &ChartValues<'_>, paths: &[&Path]) -> Problem {
    let names: Vec<String> = paths.iter().map(|path| format!("`{}`", path.join("."))).collect();
    let are = if names.len() == 1 { "is" } else { "are" };
    let what = format!("{} {are} not in the chart of `{}`", names.join(", "), chart.placement.name);
    let problem = Problem::new(what).why(format!("the values of {} {} have no such key", chart.chart, chart.version));
    if let Some(near) = suggestion(offer, paths[0]) {
        return problem.hint(format!("did you mean `{near}`?"));
    }
    let above = &paths[0][..paths[0].len() - 1];
    let free = if above.is_empty() { paths[0] } else { above };
    // As for `helm --set`: a dot in a key is escaped.
    let free = free.iter().map(|key| key.replace('.', "\\.")).collect::<Vec<_>>().join(".");
    problem.hint(format!("if the chart passes it through unchanged, in {RELEASES}: free = ['{free}']"))
}

struct Walk<'a> {
    offer: &'a ChartValues<'a>,
    free: &'a [Path],
}

impl Walk<'_> {
    /// Full paths of our keys that the chart does not have.
    fn unknown(&self, ours: &Value) -> Vec<Path> {
        let mut unknown = Vec::new();
        let own = self.offer.prefix.iter().try_fold(ours, |value, key| value.get(key));
        if let Some(own) = own {
            self.compare(own, &self.offer.values.value, &mut self.offer.prefix.to_vec(), &mut unknown);
        }
        unknown
    }

    /// A map that is empty in the chart, a list, and a value that is not a map may have any content.
    fn compare(&self, ours: &Value, theirs: &Value, path: &mut Path, unknown: &mut Vec<Path>) {
        let (Some(ours), Some(theirs)) = (ours.as_object(), theirs.as_object()) else { return };
        if (theirs.is_empty() && path.len() > self.offer.prefix.len()) || self.is_free(path) {
            return;
        }
        for (key, value) in ours {
            path.push(key.clone());
            match theirs.get(key) {
                Some(inner) => self.compare(value, inner, path, unknown),
                None if self.is_known(path) => {}
                None => unknown.push(path.clone()),
            }
            path.pop();
        }
    }

    fn is_free(&self, path: &Path) -> bool {
        self.free.contains(path)
    }

    /// Helm's own keys, those of subcharts, free ones, and those mentioned in a comment.
    fn is_known(&self, path: &Path) -> bool {
        let own = &path[self.offer.prefix.len()..];
        let (last, above) = own.split_last().expect("bug: a key has a name");
        let helm = above.is_empty() && ["global", "tags"].contains(&last.as_str());
        let subchart = self.offer.subcharts.contains(&own[0]);
        let condition = self.offer.conditions.iter().any(|dotted| merge::path(dotted) == *path);
        helm || subchart || condition || self.is_free(path) || self.is_mentioned(above, last)
    }

    /// `# storageClass: x` in the lines of the section, as many charts document optional keys.
    fn is_mentioned(&self, above: &[String], key: &str) -> bool {
        let lines = &self.offer.values.lines;
        let inside = lines.iter().filter(|(path, _)| path.starts_with(above)).map(|(_, line)| *line);
        let (Some(first), Some(last)) = (inside.clone().min(), inside.max()) else { return false };
        let outside = lines.iter().filter(|(path, _)| !path.starts_with(above)).map(|(_, line)| *line);
        let end = outside.filter(|line| *line > last).min().unwrap_or(usize::MAX);
        let section = self.offer.text.lines().enumerate().map(|(i, text)| (i + 1, text));
        let section = section.filter(|(n, _)| (first.saturating_sub(1)..end).contains(n));
        // At the root only unindented comments: others belong to deeper sections.
        section.map(|(_, text)| text).filter(|text| !above.is_empty() || text.starts_with('#')).any(|text| {
            let Some(comment) = text.trim_start().strip_prefix('#') else { return false };
            let rest = comment.trim_start_matches(['#', ' ', '-']).strip_prefix(key);
            rest.is_some_and(|rest| rest.strip_prefix(':').is_some_and(|r| r.is_empty() || r.starts_with(' ')))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::samples::{LIST, fleet, list};
    use model::yaml;

    const CHART: &str = "# nameOverride: x\nreplicas: 1\nresources: {}\nserver:\n  port: 80\n  # storageClass: fast\n\
                         \x20 limits:\n    rate: 1\n  args: []\n  log:\nnode:\n  name: a\n";

    const PART: &str = "args: []\nport: 1\nlog:\n  # level: info\n  to: file\n";

    fn check(ours: &str, free: &[&str]) -> Vec<String> {
        let mut releases = list(LIST, &fleet());
        let chart = &mut releases.charts[1];
        chart.free = free.iter().map(|s| (*s).to_owned()).collect();
        chart.bindings = [("server.porrt".to_owned(), "cluster.name".to_owned())].into();
        let chart = releases.charts[1].clone();
        let values = yaml::foreign("values.yaml", CHART).unwrap().remove(0);
        let written = yaml::parse("charts/plain/values.yaml", ours).unwrap().remove(0);
        let parts = ["part".to_owned()];
        let whole = ChartValues { text: CHART, values: &values, subcharts: &parts, conditions: &[], prefix: &[] };
        let inside = yaml::foreign("values.yaml", PART).unwrap().remove(0);
        let conditions = ["part.enabled".to_owned()];
        let part = ChartValues { text: PART, values: &inside, subcharts: &[], conditions: &conditions, prefix: &parts };
        let found = [whole, part].map(|offer| unknown_keys(&releases, &chart, &written, &offer)).concat();
        let describe = |p: Problem| format!("{} {} {}", p.at.unwrap(), p.what, p.hint.unwrap());
        found.into_iter().map(describe).collect()
    }

    const SET: &str = "charts/releases.toml:19 `server.porrt` is not in the chart of `plain` did you mean `port`?";

    #[test]
    fn unknown_keys_are_reported_with_a_suggestion() {
        let found = check("server:\n  limits:\n    rat: 2\n  porrt: 81\nx.y: 1\nzzz: 1\n", &[]);
        let want = [
            "charts/plain/values.yaml:3 `server.limits.rat` is not in the chart of `plain` did you mean `rate`?",
            "charts/plain/values.yaml:4 `server.porrt` is not in the chart of `plain` did you mean `port`?",
            "charts/plain/values.yaml:5 `x.y`, `zzz` are not in the chart of `plain` \
             if the chart passes it through unchanged, in charts/releases.toml: free = ['x\\.y']",
            SET,
        ];
        assert_eq!(found, want);
        assert_eq!(check("x.y: 1\n", &["x\\.y"]), [SET]);
    }

    #[test]
    fn free_and_commented_keys_are_accepted() {
        let ours = "nameOverride: z\nglobal:\n  a: 1\npart:\n  enabled: true\n  args: [{a: 1}]\nresources:\n  a: 1\n\
                    server:\n  storageClass: x\n  args: [{a: 1}]\n  log:\n    a: 1\n  limits:\n    b: 1\n";
        assert_eq!(check(ours, &["server.limits"]), [SET]);
    }

    #[test]
    fn unknown_keys_of_subcharts_are_reported() {
        let ours = "part:\n  porrt: 2\n  enabled: false\n  log:\n    level: warn\n    from: x\n";
        let want = [
            SET,
            "charts/plain/values.yaml:6 `part.log.from` is not in the chart of `plain` \
             if the chart passes it through unchanged, in charts/releases.toml: free = ['part.log']",
            "charts/plain/values.yaml:2 `part.porrt` is not in the chart of `plain` did you mean `port`?",
        ];
        assert_eq!(check(ours, &[]), want);
        assert_eq!(check(ours, &["part"]), [SET]);
    }

    #[test]
    fn comments_count_for_their_own_section_only() {
        assert_eq!(check("node:\n  storageClass: x\n", &[]).len(), 2);
        assert_eq!(check("storageClass: x\n", &[]).len(), 2);
    }
}
