//! Keys of our values that a chart does not have. Helm takes them in silence, so a slip of the pen changes nothing.
//! Knows nothing of schemas: none of the charts' schemas refuses an unknown key (measured), so the chart's own
//! `values.yaml` is the list of what there is.

use serde_json::{Value, json};

use model::problem::{Problem, nearest};
use model::release::RELEASES;
use model::release::{Chart, Releases};
use model::yaml::{Document, Path};
use render::merge;

/// What a chart offers.
pub struct Offer<'a> {
    /// Its `values.yaml`, as it is written in the archive.
    pub text: &'a str,
    /// The same, read.
    pub values: &'a Document,
    /// Names of charts inside of it: what stands below them is theirs.
    pub parts: &'a [String],
    /// Keys that switch those on and off, with dots between.
    pub switches: &'a [String],
    /// Where its values stand among ours: nowhere, or below its name if it is a chart inside of one.
    pub within: &'a [String],
}

/// Problems for the keys of ours that a chart does not have: those of `charts/<release>/values.yaml`, and those that
/// `set` adds. Keys of one section for which there is no likely other name are one problem.
pub fn unknown(releases: &Releases, chart: &Chart, written: &Document, offer: &Offer<'_>) -> Vec<Problem> {
    let free: Vec<Path> = chart.free.iter().map(|dotted| merge::path(dotted)).collect();
    let walk = Walk { offer, free: &free };
    let strange = walk.strange(&written.value);
    let mut problems = Vec::new();
    for paths in strange.chunk_by(|a, b| a[..a.len() - 1] == b[..b.len() - 1]) {
        let (slips, others): (Vec<&Path>, Vec<&Path>) = paths.iter().partition(|path| meant(offer, path).is_some());
        let groups = slips.into_iter().map(|path| vec![path]).chain((!others.is_empty()).then_some(others));
        problems.extend(groups.map(|g| problem(chart, offer, &g).at(written.file.clone(), line(written, g[0]))));
    }
    let at = [format!("{}.bindings", chart.placement.name), chart.placement.name.clone()];
    let at = at.iter().find_map(|key| releases.lines.get(key)).copied();
    for key in chart.bindings.keys() {
        let value = merge::path(key).into_iter().rev().fold(Value::Null, |below, key| json!({ key: below }));
        problems.extend(walk.strange(&value).iter().map(|path| problem(chart, offer, &[path]).at(RELEASES, at)));
    }
    problems
}

/// The line of a key, or of the nearest one around it that is known.
fn line(document: &Document, path: &Path) -> Option<usize> {
    (0..=path.len()).rev().find_map(|n| document.lines.get(&path[..n])).copied()
}

/// The key of the chart that was most likely meant.
fn meant<'a>(offer: &'a Offer<'_>, path: &Path) -> Option<&'a str> {
    let (last, above) = path[offer.within.len()..].split_last().expect("bug: a key has a name");
    let section = above.iter().try_fold(&offer.values.value, |value, key| value.get(key))?;
    nearest(last, section.as_object()?.keys().map(String::as_str))
}

/// Keys of one section that the chart does not have, with their whole paths in our values.
fn problem(chart: &Chart, offer: &Offer<'_>, paths: &[&Path]) -> Problem {
    let names: Vec<String> = paths.iter().map(|path| format!("`{}`", path.join("."))).collect();
    let are = if names.len() == 1 { "is" } else { "are" };
    let what = format!("{} {are} not in the chart of `{}`", names.join(", "), chart.placement.name);
    let problem = Problem::new(what).why(format!("the values of {} {} have no such key", chart.chart, chart.version));
    if let Some(near) = meant(offer, paths[0]) {
        return problem.hint(format!("did you mean `{near}`?"));
    }
    let above = &paths[0][..paths[0].len() - 1];
    let free = if above.is_empty() { paths[0] } else { above };
    // As `helm --set` has it: a dot that belongs to a key is escaped.
    let free = free.iter().map(|key| key.replace('.', "\\.")).collect::<Vec<_>>().join(".");
    problem.hint(format!("if the chart passes it on as it is, in {RELEASES}: free = ['{free}']"))
}

struct Walk<'a> {
    offer: &'a Offer<'a>,
    free: &'a [Path],
}

impl Walk<'_> {
    /// Whole paths of the keys in values of ours that the chart does not have.
    fn strange(&self, ours: &Value) -> Vec<Path> {
        let mut strange = Vec::new();
        let own = self.offer.within.iter().try_fold(ours, |value, key| value.get(key));
        if let Some(own) = own {
            self.below(own, &self.offer.values.value, &mut self.offer.within.to_vec(), &mut strange);
        }
        strange
    }

    /// Goes through what is ours beside what the chart has. A map that is empty in the chart, a list, and a value that
    /// is no map may hold anything.
    fn below(&self, ours: &Value, theirs: &Value, path: &mut Path, strange: &mut Vec<Path>) {
        let (Some(ours), Some(theirs)) = (ours.as_object(), theirs.as_object()) else { return };
        if (theirs.is_empty() && path.len() > self.offer.within.len()) || self.is_free(path) {
            return;
        }
        for (key, value) in ours {
            path.push(key.clone());
            match theirs.get(key) {
                Some(inner) => self.below(value, inner, path, strange),
                None if self.is_known(path) => {}
                None => strange.push(path.clone()),
            }
            path.pop();
        }
    }

    fn is_free(&self, path: &Path) -> bool {
        self.free.contains(path)
    }

    /// Helm's own keys, what belongs to a chart inside, what was declared free, and what a comment mentions.
    fn is_known(&self, path: &Path) -> bool {
        let own = &path[self.offer.within.len()..];
        let (last, above) = own.split_last().expect("bug: a key has a name");
        let helm = above.is_empty() && ["global", "tags"].contains(&last.as_str());
        let part = self.offer.parts.contains(&own[0]);
        let switch = self.offer.switches.iter().any(|dotted| merge::path(dotted) == *path);
        helm || part || switch || self.is_free(path) || self.is_mentioned(above, last)
    }

    /// `# storageClass: x` among the lines of the section, as many charts show what may be set.
    fn is_mentioned(&self, above: &[String], key: &str) -> bool {
        let lines = &self.offer.values.lines;
        let inside = lines.iter().filter(|(path, _)| path.starts_with(above)).map(|(_, line)| *line);
        let (Some(first), Some(last)) = (inside.clone().min(), inside.max()) else { return false };
        let outside = lines.iter().filter(|(path, _)| !path.starts_with(above)).map(|(_, line)| *line);
        let end = outside.filter(|line| *line > last).min().unwrap_or(usize::MAX);
        let section = self.offer.text.lines().enumerate().map(|(i, text)| (i + 1, text));
        let section = section.filter(|(n, _)| (first.saturating_sub(1)..end).contains(n));
        // At the root only what stands at the margin: deeper comments belong to deeper sections.
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

    /// The values of a chart inside of it.
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
        let whole = Offer { text: CHART, values: &values, parts: &parts, switches: &[], within: &[] };
        let inside = yaml::foreign("values.yaml", PART).unwrap().remove(0);
        let switches = ["part.enabled".to_owned()];
        let part = Offer { text: PART, values: &inside, parts: &[], switches: &switches, within: &parts };
        let found = [whole, part].map(|offer| unknown(&releases, &chart, &written, &offer)).concat();
        let told = |p: Problem| format!("{} {} {}", p.at.unwrap(), p.what, p.hint.unwrap());
        found.into_iter().map(told).collect()
    }

    const SET: &str = "charts/releases.toml:19 `server.porrt` is not in the chart of `plain` did you mean `port`?";

    #[test]
    fn a_slip_is_found_with_what_was_meant() {
        let found = check("server:\n  limits:\n    rat: 2\n  porrt: 81\nx.y: 1\nzzz: 1\n", &[]);
        let want = [
            "charts/plain/values.yaml:3 `server.limits.rat` is not in the chart of `plain` did you mean `rate`?",
            "charts/plain/values.yaml:4 `server.porrt` is not in the chart of `plain` did you mean `port`?",
            "charts/plain/values.yaml:5 `x.y`, `zzz` are not in the chart of `plain` \
             if the chart passes it on as it is, in charts/releases.toml: free = ['x\\.y']",
            SET,
        ];
        assert_eq!(found, want);
        assert_eq!(check("x.y: 1\n", &["x\\.y"]), [SET]);
    }

    #[test]
    fn what_may_be_anything_is_not_looked_into() {
        let ours = "nameOverride: z\nglobal:\n  a: 1\npart:\n  enabled: true\n  args: [{a: 1}]\nresources:\n  a: 1\n\
                    server:\n  storageClass: x\n  args: [{a: 1}]\n  log:\n    a: 1\n  limits:\n    b: 1\n";
        assert_eq!(check(ours, &["server.limits"]), [SET]);
    }

    #[test]
    fn a_slip_in_a_chart_inside_is_found_too() {
        let ours = "part:\n  porrt: 2\n  enabled: false\n  log:\n    level: warn\n    from: x\n";
        let want = [
            SET,
            "charts/plain/values.yaml:6 `part.log.from` is not in the chart of `plain` \
             if the chart passes it on as it is, in charts/releases.toml: free = ['part.log']",
            "charts/plain/values.yaml:2 `part.porrt` is not in the chart of `plain` did you mean `port`?",
        ];
        assert_eq!(check(ours, &[]), want);
        assert_eq!(check(ours, &["part"]), [SET]);
    }

    #[test]
    fn a_comment_speaks_for_its_own_section() {
        assert_eq!(check("node:\n  storageClass: x\n", &[]).len(), 2);
        assert_eq!(check("storageClass: x\n", &[]).len(), 2);
    }
}
