//! `kubeconfig`: prints the path of the kubeconfig, which has a context per cluster, or merges it into the user's own.

use camino::Utf8PathBuf;
use serde_json::{Value, json};

use super::exit::{CmdError, CmdResult, DONE, FAILED, USAGE};
use super::{Session, inputs};
use crate::ui::shell::Severity;
use exec::workspace::user_file;
use model::problem::Problem;
use model::yaml;
use plan::bootstrap::{KUBECONFIG, kube_path};

/// Lists of a kubeconfig whose entries have names, and what an entry holds beside its name.
const LISTS: [(&str, &str); 3] = [("clusters", "cluster"), ("contexts", "context"), ("users", "user")];
/// Name of the extension that marks entries as ours.
const MARK: &str = "archipelago";
const OWN: &str = "export KUBECONFIG=$(cargo xtask kubeconfig)";

/// # Errors
/// There is none yet; or, with `merge`, the user's own cannot be changed or has an entry of that name.
pub fn run(session: &mut Session, merge: bool, context: Option<&str>) -> CmdResult {
    let path = session.workspace.out().join(KUBECONFIG);
    if !session.workspace.exists(path.as_str()) {
        let problem = Problem::new("there is no kubeconfig yet").at(session.workspace.shown(&path), None);
        return Err(CmdError::new(FAILED, problem.hint("cargo xtask bootstrap")));
    }
    if merge {
        return merge_into(session, &path, context);
    }
    session.shell.status(Severity::Hint, "Use", OWN);
    session.shell.result(&format!("{path}\n"));
    Ok(DONE)
}

/// `~/.kube/config`; in a simulation below its own folder.
fn users_own(session: &Session) -> Result<Utf8PathBuf, Problem> {
    if session.flags.simulate {
        return Ok(session.workspace.out().join("home/.kube/config"));
    }
    let home = session.vars.get("HOME").filter(|home| !home.is_empty());
    home.map(|home| Utf8PathBuf::from(home).join(".kube/config"))
        .ok_or_else(|| Problem::new("HOME is not set").hint(OWN))
}

fn merge_into(session: &mut Session, from: &Utf8PathBuf, context: Option<&str>) -> CmdResult {
    let text = session.workspace.read(from).map_err(CmdError::with(FAILED))?;
    let ours = read(from.as_str(), &text).map_err(CmdError::with(FAILED))?;
    let names: Vec<String> = named(&ours, "contexts").map(|(name, _)| name.to_owned()).collect();
    if let Some(context) = context.filter(|context| !names.iter().any(|name| name == context)) {
        let problem = Problem::new(format!("there is no context `{context}`"));
        return Err(CmdError::new(USAGE, problem.why(format!("there are {}", names.join(", ")))));
    }
    let to = users_own(session).map_err(CmdError::with(FAILED))?;
    let root = session.workspace.root().to_string();
    let merged = |text: &str| {
        let mut theirs = read(to.as_str(), text)?;
        remove(&mut theirs, &|mark| mark["workspace"] == root.as_str());
        for (list, field) in LISTS {
            for (name, entry) in named(&ours, list) {
                if named(&theirs, list).any(|(other, _)| other == name) {
                    let problem =
                        Problem::new(format!("`{name}` in {list} is not of this fleet")).at(to.as_str(), None);
                    return Err(problem.why("an entry of somebody else is never replaced").hint(OWN));
                }
                let mut entry = entry.clone();
                let cluster = name.strip_suffix("-admin").unwrap_or(name);
                entry[field]["extensions"] =
                    json!([{ "name": MARK, "extension": { "cluster": cluster, "workspace": root } }]);
                match theirs[list].as_array_mut() {
                    Some(entries) => entries.push(entry),
                    None => theirs[list] = json!([entry]),
                }
            }
        }
        if let Some(context) = context {
            theirs["current-context"] = context.into();
        }
        Ok(yaml::write(&[theirs]))
    };
    let changed = user_file::change(&to, merged).map_err(CmdError::with(FAILED))?;
    let verb = if changed { "Merged" } else { "Unchanged" };
    session.shell.status(Severity::Success, verb, &format!("{to}: contexts {}", names.join(", ")));
    Ok(DONE)
}

/// After a `destroy`: takes clusters that are gone out of the user's own kubeconfig, if it has them.
///
/// # Errors
/// It cannot be changed.
pub fn forget_destroyed(session: &mut Session) -> Result<(), CmdError> {
    let Ok(to) = users_own(session) else { return Ok(()) };
    let has_any = session.workspace.exists(to.as_str())
        && session.workspace.read(&to).is_ok_and(|text| text.contains(&format!("name: {MARK}")));
    if !has_any {
        return Ok(());
    }
    let fleet = inputs::load(session)?.fleet;
    let kept = |name: &Value| {
        let cluster = fleet.clusters.iter().find(|cluster| *name == cluster.name.as_str());
        let file = |path: String| session.workspace.out().join(path.trim_start_matches("out/"));
        cluster.is_some_and(|cluster| session.workspace.exists(file(kube_path(cluster)).as_str()))
    };
    let root = session.workspace.root().to_string();
    let without = |text: &str| {
        let mut theirs = read(to.as_str(), text)?;
        let current = theirs["current-context"].clone();
        let has_current = |config: &Value| named(config, "contexts").any(|(name, _)| current == name);
        let had = has_current(&theirs);
        let gone = remove(&mut theirs, &|mark| mark["workspace"] == root.as_str() && !kept(&mark["cluster"]));
        if had && !has_current(&theirs) {
            theirs["current-context"] = "".into();
        }
        Ok(if gone { yaml::write(&[theirs]) } else { text.to_owned() })
    };
    if user_file::change(&to, without).map_err(CmdError::with(FAILED))? {
        session.shell.status(Severity::Dim, "Removed", &format!("contexts of destroyed clusters from {to}"));
    }
    Ok(())
}

/// A kubeconfig; an empty one if there is no text.
fn read(file: &str, text: &str) -> Result<Value, Problem> {
    let documents = yaml::foreign(file, text)?;
    match &documents[..] {
        [] => Ok(json!({ "apiVersion": "v1", "kind": "Config" })),
        [one] if one.value.is_object() && one.value["kind"] == "Config" => Ok(one.value.clone()),
        _ => Err(Problem::new(format!("`{file}` is not a kubeconfig")).at(file, Some(1)).hint(OWN)),
    }
}

fn named<'a>(config: &'a Value, list: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    config[list].as_array().into_iter().flatten().filter_map(|entry| Some((entry["name"].as_str()?, entry)))
}

/// Removes entries by their mark. Whether there was any.
fn remove(config: &mut Value, gone: &dyn Fn(&Value) -> bool) -> bool {
    let mut any = false;
    for (list, field) in LISTS {
        let Some(entries) = config[list].as_array_mut() else { continue };
        let is_gone = |entry: &Value| {
            let marks = entry[field]["extensions"].as_array().into_iter().flatten();
            marks.filter(|mark| mark["name"] == MARK).any(|mark| gone(&mark["extension"]))
        };
        let before = entries.len();
        entries.retain(|entry| !is_gone(entry));
        any |= entries.len() < before;
    }
    any
}
