//! Kinds that charts bring: `charts/kinds.toml`, typed.

use std::collections::BTreeMap;

use crate::problem::Problem;

pub const KINDS: &str = "charts/kinds.toml";

/// A custom resource definition of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// `externalsecrets.external-secrets.io`.
    pub name: String,
    pub kind: String,
    /// Those that are served.
    pub versions: Vec<String>,
    pub namespaced: bool,
    /// The value of the chart that switches it off, dotted; it is on where that is not set.
    pub switch: Option<String>,
}

/// The definitions of each chart.
///
/// # Errors
/// Text that is not TOML, or an entry that is not `KIND VERSIONS SCOPE [VALUE]`.
pub fn load(text: &str) -> Result<BTreeMap<String, Vec<Definition>>, Problem> {
    let wrong = |why: String| Problem::new("cannot read the kinds of charts").at(KINDS, None).why(why);
    let table: BTreeMap<String, BTreeMap<String, String>> =
        toml::from_str(text).map_err(|e| wrong(e.message().to_owned()))?;
    let mut all = BTreeMap::new();
    for (chart, entries) in table {
        let mut found = Vec::new();
        for (name, entry) in entries {
            let words: Vec<&str> = entry.split(' ').collect();
            let (&[kind, versions, scope] | &[kind, versions, scope, _]) = &words[..] else {
                return Err(wrong(format!("{name}: {entry:?} is not KIND VERSIONS SCOPE [VALUE]")));
            };
            found.push(Definition {
                name,
                kind: kind.to_owned(),
                versions: versions.split(',').map(str::to_owned).collect(),
                namespaced: scope == "namespaced",
                switch: words.get(3).map(|path| (*path).to_owned()),
            });
        }
        all.insert(chart, found);
    }
    Ok(all)
}
