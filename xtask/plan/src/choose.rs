//! Which steps of a plan a run acts on: `--only`, `--skip` and `--until`, as globs over step ids.
//!
//! In a glob `*` is any run of characters, `/` among them, and `?` is any one character: `app1/*` is everything of
//! that cluster, and so is `app1`; `*/prep` is the preparation of every node.

use std::collections::{BTreeMap, BTreeSet};

use super::{Plan, Scope, Step, StepKey};
use model::problem::Problem;
use tool::Limits;

/// What the user asked for; an empty list restricts nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// These, and everything they need.
    pub only: Vec<String>,
    /// These are never applied. Where a chosen step needs one it is still checked, and must match.
    pub skip: Vec<String>,
    /// These, everything they need, and all that does not come after one of them.
    pub until: Vec<String>,
}

/// The steps that a run applies: those of `--only` that are also of `--until`, without those of `--skip`.
///
/// # Errors
/// Every glob that matches no step, with the nearest ids; and a choice that leaves nothing.
pub fn choose(plan: &Plan, choice: &Choice) -> Result<BTreeSet<StepKey>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut matches = |flag: &str, globs: &[String]| {
        let mut found = BTreeSet::new();
        for glob in globs {
            let hits: Vec<_> = plan.steps.iter().filter(|s| matches_glob(glob, &s.id)).collect();
            if hits.is_empty() {
                problems.push(unmatched(plan, flag, glob));
            }
            found.extend(hits.into_iter().map(|s| s.id.clone()));
        }
        found
    };
    let only = matches("--only", &choice.only);
    let until = matches("--until", &choice.until);
    let skip = matches("--skip", &choice.skip);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut chosen = plan.ids();
    if !choice.only.is_empty() {
        let wanted = needed(&plan.steps, only);
        chosen.retain(|id| wanted.contains(id));
    }
    if !choice.until.is_empty() {
        let behind = closure(until.clone(), &followers(plan));
        let up_to = needed(&plan.steps, until);
        chosen.retain(|id| up_to.contains(id) || !behind.contains(id));
    }
    chosen.retain(|id| !skip.contains(id));
    if chosen.is_empty() && !plan.steps.is_empty() {
        return Err(vec![
            Problem::new("nothing is left to do").why("`--only`, `--until` and `--skip` exclude each other"),
        ]);
    }
    Ok(chosen)
}

/// The steps of these entries of the list of releases on these clusters, with the downloads, secrets and checks of this
/// machine that they need. What else is on a cluster is not part of it.
#[must_use]
pub fn of_releases(plan: &Plan, names: &[String], clusters: &[String]) -> Plan {
    let is_own = |id: &StepKey| {
        let entry = |name: &String| id.action() == name || id.action().starts_with(&format!("{name}/"));
        matches!(id.scope(), Scope::Cluster(cluster) if clusters.contains(cluster)) && names.iter().any(entry)
    };
    let is_shared = |id: &StepKey| match id.scope() {
        Scope::Host | Scope::Charts | Scope::Fleet => true,
        Scope::Cluster(_) => id.action() == "kubeconfig",
        _ => false,
    };
    let kept = |id: &StepKey| is_own(id) || is_shared(id);
    let mut steps: Vec<Step> = plan.steps.iter().filter(|step| kept(&step.id)).cloned().collect();
    for step in &mut steps {
        step.needs.retain(kept);
        if matches!(step.id.scope(), Scope::Cluster(_)) && step.id.action() == "kubeconfig" {
            // Whether its API server answers; what to do if not takes more than these steps.
            (step.act, step.remedies) = (vec![], vec![]);
            step.limits = Limits::QUICK;
            step.hint =
                Some("cargo xtask start   # or `cargo xtask bootstrap`, if the cluster was never complete".into());
        }
    }
    let own = steps.iter().map(|step| step.id.clone()).filter(is_own).collect();
    let wanted = needed(&steps, own);
    Plan { name: "apply", steps: steps.into_iter().filter(|step| wanted.contains(&step.id)).collect(), ..plan.clone() }
}

/// These steps and all they need.
pub fn needed(steps: &[Step], ids: BTreeSet<StepKey>) -> BTreeSet<StepKey> {
    closure(ids, &steps.iter().map(|s| (&s.id, s.needs.iter().collect())).collect())
}

/// Each step's direct followers, by need or by order.
fn followers(plan: &Plan) -> BTreeMap<&StepKey, Vec<&StepKey>> {
    let mut followers: BTreeMap<&StepKey, Vec<&StepKey>> = BTreeMap::new();
    for step in &plan.steps {
        for before in step.needs.iter().chain(&step.after) {
            followers.entry(before).or_default().push(&step.id);
        }
    }
    followers
}

fn closure(from: BTreeSet<StepKey>, edges: &BTreeMap<&StepKey, Vec<&StepKey>>) -> BTreeSet<StepKey> {
    let mut todo: Vec<StepKey> = from.iter().cloned().collect();
    let mut all = from;
    while let Some(id) = todo.pop() {
        for next in edges.get(&id).into_iter().flatten() {
            if all.insert((*next).clone()) {
                todo.push((*next).clone());
            }
        }
    }
    all
}

/// `app1` without anything else means `app1/*`.
fn matches_glob(glob: &str, id: &StepKey) -> bool {
    is_glob_match(glob, id.as_str()) || id.scope().name() == glob
}

/// Whether a text matches a glob of `*` and `?`.
pub fn is_glob_match(glob: &str, text: &str) -> bool {
    distance(glob, text) == 0
}

fn unmatched(plan: &Plan, flag: &str, glob: &str) -> Problem {
    let shown: String = glob.chars().take(LONGEST).collect();
    let problem = Problem::new(format!("no step is matched by `{flag} {shown}`"));
    let near = nearest(plan, glob);
    if near.is_empty() {
        return problem.hint(format!("cargo xtask plan {}   # lists all steps", plan.name));
    }
    let quoted: Vec<_> = near.iter().map(|id| format!("`{flag} {id}`")).collect();
    problem.hint(format!("did you mean {}?", quoted.join(" or ")))
}

/// Up to three of the nearest ids or scopes, at most a third of the glob's length away from it.
fn nearest<'a>(plan: &'a Plan, glob: &str) -> Vec<&'a str> {
    if glob.len() > LONGEST {
        return Vec::new();
    }
    let names: BTreeSet<&str> = plan.steps.iter().flat_map(|step| [step.id.as_str(), step.id.scope().name()]).collect();
    let far = names.into_iter().map(|name| (distance(glob, name), name));
    let mut near: Vec<_> = far.filter(|(d, _)| *d <= (glob.len() / 3).max(1)).collect();
    near.sort_unstable();
    let least = near.first().map(|(d, _)| *d);
    near.into_iter().take_while(|(d, _)| Some(*d) == least).take(3).map(|(_, id)| id).collect()
}

/// Far longer than any id: a glob beyond it matches nothing, and comparing it would take its time.
const LONGEST: usize = 256;

/// How many characters must be put in, taken out or changed for the glob to match: 0 is a match.
fn distance(glob: &str, id: &str) -> usize {
    let id: Vec<char> = id.chars().collect();
    if glob.len() > LONGEST {
        return glob.len();
    }
    // row[i]: the distance of the glob so far to the first i characters of the id.
    let mut row: Vec<usize> = (0..=id.len()).collect();
    for g in glob.chars() {
        let mut next = vec![if g == '*' { row[0] } else { row[0] + 1 }];
        for (i, c) in id.iter().enumerate() {
            let changed = row[i] + usize::from(g != '?' && g != '*' && g != *c);
            let (taken_out, put_in) = if g == '*' { (row[i + 1], next[i]) } else { (row[i + 1] + 1, next[i] + 1) };
            next.push(changed.min(taken_out).min(put_in));
        }
        row = next;
    }
    row[id.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{plan, step};

    /// launch -> prep -> init -> join, and charts beside them; join comes after nodes.
    fn sample() -> Plan {
        plan([
            step("charts/cilium", &[]),
            step("app1/cp/launch", &[]),
            step("app1/cp/prep", &["app1/cp/launch"]),
            step("app1/cp/init", &["app1/cp/prep"]),
            step("app1/cilium", &["app1/cp/init", "charts/cilium"]),
            step("app2/cp/launch", &[]),
        ])
    }

    fn chosen(only: &[&str], skip: &[&str], until: &[&str]) -> Vec<StepKey> {
        let own = |globs: &[&str]| globs.iter().map(|g| (*g).to_owned()).collect();
        let choice = Choice { only: own(only), skip: own(skip), until: own(until) };
        choose(&sample(), &choice).unwrap().into_iter().collect()
    }

    #[test]
    fn without_flags_every_step_is_selected() {
        assert_eq!(chosen(&[], &[], &[]).len(), 6);
    }

    #[test]
    fn only_selects_dependencies_too() {
        assert_eq!(chosen(&["*/prep"], &[], &[]), ["app1/cp/launch", "app1/cp/prep"]);
        assert_eq!(chosen(&["app1"], &[], &[]), chosen(&["app1/*"], &[], &[]));
        assert_eq!(chosen(&["app?/cp/launch"], &[], &[]), ["app1/cp/launch", "app2/cp/launch"]);
    }

    #[test]
    fn skip_takes_away_the_match_alone() {
        assert_eq!(chosen(&["*/prep"], &["*/launch"], &[]), ["app1/cp/prep"]);
    }

    #[test]
    fn until_excludes_later_steps() {
        let until = chosen(&[], &[], &["*/prep"]);
        assert_eq!(until, ["app1/cp/launch", "app1/cp/prep", "app2/cp/launch", "charts/cilium"]);
        // A match behind another match still gets what lies between.
        let both = chosen(&["app1/*"], &[], &["*/launch", "*/init"]);
        assert_eq!(both, ["app1/cp/init", "app1/cp/launch", "app1/cp/prep", "charts/cilium"]);
    }

    #[test]
    fn until_heeds_order_without_need() {
        let mut plan = sample();
        plan.steps[5].after.push("app1/cp/prep".into());
        let until = Choice { until: vec!["app1/cp/prep".into()], ..Choice::default() };
        assert!(!choose(&plan, &until).unwrap().contains("app2/cp/launch"));
    }

    #[test]
    fn a_glob_without_a_match_is_a_problem_with_near_ids() {
        let choice = Choice { only: vec!["app1/cp/lunch".into(), "zzzzz".into()], ..Choice::default() };
        let problems = choose(&sample(), &choice).unwrap_err();
        assert_eq!(problems[0].what, "no step is matched by `--only app1/cp/lunch`");
        assert_eq!(problems[0].hint.as_deref(), Some("did you mean `--only app1/cp/launch`?"));
        assert_eq!(problems[1].hint.as_deref(), Some("cargo xtask plan sample   # lists all steps"));
        let choice = Choice { only: vec!["ap1".into()], ..Choice::default() };
        let hint = choose(&sample(), &choice).unwrap_err().remove(0).hint;
        assert_eq!(hint.as_deref(), Some("did you mean `--only app1`?"));
        let choice = Choice { skip: vec!["*/cp/lanch".into()], ..Choice::default() };
        let hint = choose(&sample(), &choice).unwrap_err().remove(0).hint;
        assert_eq!(hint.as_deref(), Some("did you mean `--skip app1/cp/launch` or `--skip app2/cp/launch`?"));
    }

    #[test]
    fn nothing_left_is_a_problem() {
        let choice = Choice { only: vec!["app2/*".into()], skip: vec!["app2/*".into()], ..Choice::default() };
        assert_eq!(choose(&sample(), &choice).unwrap_err()[0].what, "nothing is left to do");
    }

    #[test]
    fn globs_match_as_documented() {
        for (glob, id, matches) in [
            ("*", "", true),
            ("a*c", "a/b/c", true),
            ("a?c", "a/c", true),
            ("a?c", "ac", false),
            ("*/x", "x", false),
            ("**x*", "x", true),
            ("a", "ab", false),
        ] {
            assert_eq!(is_glob_match(glob, id), matches, "{glob} {id}");
        }
    }
}
