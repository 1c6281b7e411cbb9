//! Whether a plan can be run as it is written: names, order, limits, read-only probes, and every value known in time.
//! What it finds is a mistake of ours, not of the user: tests call it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use semver::VersionReq;

use super::uses::Uses;
use super::{Expect, Plan, Pool, Step, StepKey};
use model::token::{self, Token};
use tool::Command;
use tool::extract::pattern;

/// Longest time for one question: a person watches, and a pool may wait.
const LONGEST_ASK: Duration = Duration::from_secs(10 * 60);
/// Longest time for one command, for settling, and for a pause.
const LONGEST: Duration = Duration::from_secs(2 * 60 * 60);
/// More attempts than this hide a fault instead of outlasting it.
const MOST_ATTEMPTS: u32 = 10;

/// Everything that is wrong with a plan; empty is good.
pub fn check(plan: &Plan) -> Vec<String> {
    let mut wrong = ids(plan);
    let cycles = cycles(plan);
    wrong.extend(if cycles.is_empty() { order(plan) } else { cycles });
    for step in &plan.steps {
        let found = [
            read_only(step),
            hidden(step),
            limits(step),
            wants(step),
            files(plan, step),
            facts(plan, step),
            running(plan, step),
        ];
        wrong.extend(found.into_iter().flatten().map(|what| format!("{}: {what}", step.id)));
    }
    wrong.extend(places(plan));
    wrong
}

fn ids(plan: &Plan) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let twice = plan.steps.iter().filter(|s| !seen.insert(&s.id)).map(|s| format!("{}: two steps have this id", s.id));
    let ids = plan.ids();
    let unknown = plan.steps.iter().flat_map(|s| befores(s).map(move |b| (s, b)));
    let unknown = unknown.filter(|(_, b)| !ids.contains(*b));
    twice.chain(unknown.map(|(s, b)| format!("{}: waits for `{b}`, which is no step", s.id))).collect()
}

fn befores(step: &Step) -> impl Iterator<Item = &StepKey> {
    step.needs.iter().chain(&step.after)
}

/// Each cycle once, as `a -> b -> a`.
fn cycles(plan: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    let mut clean = BTreeSet::new();
    for step in &plan.steps {
        walk(plan, step.id.as_str(), &mut Vec::new(), &mut clean, &mut found);
    }
    found
}

fn walk<'a>(
    plan: &'a Plan,
    id: &'a str,
    path: &mut Vec<&'a str>,
    clean: &mut BTreeSet<&'a str>,
    found: &mut Vec<String>,
) {
    if clean.contains(id) {
        return;
    }
    if let Some(from) = path.iter().position(|p| *p == id) {
        found.push(format!("{id}: a cycle: {} -> {id}", path[from..].join(" -> ")));
        return;
    }
    path.push(id);
    for before in plan.step(id).into_iter().flat_map(befores) {
        walk(plan, before.as_str(), path, clean, found);
    }
    path.pop();
    clean.insert(id);
}

/// The steps stand in an order in which they could run one after another.
fn order(plan: &Plan) -> Vec<String> {
    let ids = plan.ids();
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for step in &plan.steps {
        let late = befores(step).filter(|b| ids.contains(*b) && !seen.contains(*b));
        wrong.extend(late.map(|b| format!("{}: stands before `{b}`, for which it waits", step.id)));
        seen.insert(&step.id);
    }
    wrong
}

fn read_only(step: &Step) -> Vec<String> {
    if step.done_when.ask.mutates { vec!["its probe changes something".to_owned()] } else { vec![] }
}

fn commands(step: &Step) -> impl Iterator<Item = &Command> {
    let acts = step.act.iter().chain(step.remedies.iter().flat_map(|c| &c.act)).chain(&step.undo);
    let beside = step.done_when.fallback.iter().chain(step.observer.as_ref().map(|observer| &observer.ask));
    std::iter::once(&step.done_when.ask).chain(acts).chain(beside)
}

/// Secrets reach tools by input, never by what `ps` shows; and no answer is compared with one.
fn hidden(step: &Step) -> Vec<String> {
    let secrets = |text: &str| {
        let named = token::tokens(text).into_iter().filter_map(|t| match t {
            Token::Secret(name) => Some(name.to_owned()),
            _ => None,
        });
        named.collect::<Vec<_>>()
    };
    let open = commands(step).flat_map(|c| c.args.iter().chain(c.env.iter().map(|(_, v)| v)));
    let open =
        open.flat_map(|text| secrets(text)).map(|s| format!("secret `{s}` stands in an argument or environment"));
    let wanted = all_wants(step).flat_map(Expect::texts).flat_map(|(text, _)| secrets(text));
    open.chain(wanted.map(|s| format!("secret `{s}` stands in a want"))).collect()
}

fn all_wants(step: &Step) -> impl Iterator<Item = &Expect> {
    std::iter::once(&step.done_when.want).chain(step.remedies.iter().map(|c| &c.when))
}

fn limits(step: &Step) -> Vec<String> {
    let limits = &step.limits;
    let acts = !step.act.is_empty() || step.remedies.iter().any(|c| !c.act.is_empty());
    let again = limits.attempts > 1 || !limits.settle.is_zero();
    let rules = [
        (limits.ask.is_zero() || limits.ask > LONGEST_ASK, "the limit of its probe is not within 10m"),
        (acts && limits.act.is_zero() || limits.act > LONGEST, "the limit of its commands is not within 2h"),
        (limits.attempts == 0 || limits.attempts > MOST_ATTEMPTS, "its attempts are not 1 to 10"),
        (again && limits.pause.is_zero() || limits.pause > LONGEST, "its pause is not within 2h"),
        (limits.settle > LONGEST, "it settles for more than 2h"),
    ];
    rules.into_iter().filter(|(broken, _)| *broken).map(|(_, what)| what.to_owned()).collect()
}

/// Regular expressions and ranges can be read, and the expectation is more than "anything".
fn wants(step: &Step) -> Vec<String> {
    let mut wrong = Vec::new();
    if step.done_when.ask.args.is_empty() {
        wrong.push("its probe asks nothing".to_owned());
    }
    if matches!(&step.done_when.want, Expect::All(wants) if wants.is_empty()) {
        wrong.push("its probe takes any answer".to_owned());
    }
    for want in all_wants(step) {
        let regexes = want.texts().into_iter().filter(|(_, regex)| *regex).map(|(text, _)| text);
        wrong.extend(regexes.filter_map(|r| pattern(r).err().map(|e| format!("/{r}/ is no regular expression: {e}"))));
        ranges(want, &mut wrong);
    }
    wrong
}

fn ranges(want: &Expect, wrong: &mut Vec<String>) {
    match want {
        Expect::Version(_, range) => {
            wrong.extend(VersionReq::parse(range).err().map(|e| format!("`{range}` is no range of versions: {e}")));
        }
        Expect::All(wants) | Expect::Any(wants) => wants.iter().for_each(|w| ranges(w, wrong)),
        Expect::Not(want) => ranges(want, wrong),
        _ => {}
    }
}

fn files(plan: &Plan, step: &Step) -> Vec<String> {
    let of_commands = commands(step).map(|c| Uses::of_command(c, &plan.files));
    let of_wants = all_wants(step).flat_map(Expect::texts).map(|(text, _)| Uses::of_text(text, &plan.files));
    let used: BTreeSet<_> = of_commands.chain(of_wants).flat_map(|u| u.files).collect();
    let missing = used.into_iter().filter(|f| !plan.files.contains_key(f));
    missing.map(|f| format!("uses the file `{f}`, which is not generated")).collect()
}

/// Facts that a step may count on: those that the probes of its needs read. What only an act reads is not known when
/// the step is kept, so it counts for the commands behind it alone.
fn facts(plan: &Plan, step: &Step) -> Vec<String> {
    let known = known(plan, step);
    let missing = |uses: Uses, known: &BTreeSet<&str>| -> Vec<String> {
        uses.facts.into_iter().filter(|f| !known.contains(f.as_str())).collect()
    };
    let mut lacking = missing(Uses::of_command(&step.done_when.ask, &plan.files), &known);
    for (text, _) in all_wants(step).flat_map(Expect::texts) {
        lacking.extend(missing(Uses::of_text(text, &plan.files), &known));
    }
    for commands in std::iter::once(&step.act).chain(step.remedies.iter().map(|c| &c.act)) {
        let mut known = known.clone();
        for command in commands {
            lacking.extend(missing(Uses::of_command(command, &plan.files), &known));
            known.extend(learns(command));
        }
    }
    lacking.sort();
    lacking.dedup();
    lacking.iter().map(|f| format!("uses the fact `{f}`, which no probe of a step that it needs reads")).collect()
}

fn learns(command: &Command) -> impl Iterator<Item = &str> {
    command.captures.iter().filter(|l| !l.secret).map(|l| l.name.as_str())
}

fn known<'a>(plan: &'a Plan, step: &'a Step) -> BTreeSet<&'a str> {
    all_needs(plan, step).into_iter().flat_map(|need| learns(&need.done_when.ask)).collect()
}

/// From near and far.
fn all_needs<'a>(plan: &'a Plan, step: &'a Step) -> Vec<&'a Step> {
    let by_id: BTreeMap<_, _> = plan.steps.iter().map(|s| (s.id.as_str(), s)).collect();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut todo: Vec<&StepKey> = step.needs.iter().collect();
    while let Some(id) = todo.pop() {
        if let Some(need) = by_id.get(id.as_str()).filter(|_| seen.insert(id)) {
            found.push(*need);
            todo.extend(&need.needs);
        }
    }
    found
}

/// A command in a machine that is not running would start it, so that it runs must be known before.
fn running(plan: &Plan, step: &Step) -> Vec<String> {
    let inside: BTreeSet<&str> = commands(step).filter_map(machines::guest_of).collect();
    if inside.is_empty() {
        return vec![];
    }
    let needs = all_needs(plan, step);
    let runs = |vm: &&str| needs.iter().any(|need| machines::shown_running(&need.done_when.want) == Some(vm));
    let unknown = inside.into_iter().filter(|vm| !runs(vm));
    unknown.map(|vm| format!("runs a command in `{vm}`, and no step that it needs shows that it is running")).collect()
}

/// A pool that is used has places; only the free one may do without a number.
fn places(plan: &Plan) -> Vec<String> {
    let used: BTreeSet<Pool> = plan.steps.iter().map(|s| s.pool).filter(|l| *l != Pool::Free).collect();
    let none = used.into_iter().filter(|l| plan.pools.get(l).copied().unwrap_or(0) == 0);
    none.map(|l| format!("pool {l:?} is used and has no place")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{plan, step};
    use tool::{Extractor, Tool};

    /// The one thing that is wrong when step `b`, which needs `a`, is spoilt.
    fn spoilt(spoil: impl FnOnce(&mut Step)) -> String {
        let mut plan = plan([step("a", &[]), step("b", &["a"])]);
        plan.steps[0].done_when.ask = plan.steps[0].done_when.ask.clone().capture("ip", Extractor::Stdout);
        plan.files.insert("f".into(), "<fact:ip> <fact:hash>".into());
        assert_eq!(check(&plan), [""; 0]);
        spoil(&mut plan.steps[1]);
        check(&plan).join("\n")
    }

    #[test]
    fn names_and_order_are_checked() {
        assert_eq!(spoilt(|s| s.id = "a".into()), "a: two steps have this id");
        assert_eq!(spoilt(|s| s.after = vec!["x".into()]), "b: waits for `x`, which is no step");
        let late = plan([step("a", &["b"]), step("b", &[])]);
        assert_eq!(check(&late), ["a: stands before `b`, for which it waits"]);
        let round = plan([step("x", &["a"]), step("a", &["b"]), step("b", &["c"]), step("c", &["a"])]);
        assert_eq!(check(&round), ["a: a cycle: a -> b -> c -> a"]);
    }

    #[test]
    fn probes_only_read_and_ask_something() {
        assert_eq!(spoilt(|s| s.done_when.ask.mutates = true), "b: its probe changes something");
        assert_eq!(spoilt(|s| s.done_when.ask.args.clear()), "b: its probe asks nothing");
        assert_eq!(spoilt(|s| s.done_when.want = Expect::All(vec![])), "b: its probe takes any answer");
        assert!(
            spoilt(|s| s.done_when.want = Expect::Match("(".into())).starts_with("b: /(/ is no regular expression")
        );
        let bad = Expect::Not(Box::new(Expect::Version("".into(), "x.y".into())));
        assert!(spoilt(|s| s.done_when.want = bad).starts_with("b: `x.y` is no range of versions"));
    }

    #[test]
    fn a_machine_is_known_to_run_before_a_command_runs_in_it() {
        let exec = || Command::ask(Tool::Multipass, ["exec", "-n", "vm", "--", "true"]);
        let lacks = "b: runs a command in `vm`, and no step that it needs shows that it is running";
        assert_eq!(spoilt(|s| s.act = vec![exec()]), lacks);
        assert_eq!(spoilt(|s| *s = s.clone().observed(exec(), crate::cause::Reader::Kubelet)), lacks);
        let mut plan = plan([step("a", &[]), step("b", &["a"])]);
        plan.steps[1].done_when.ask = exec();
        for (state, wrong) in [("Stopped", 1), ("Running", 0)] {
            plan.steps[0].done_when.want = Expect::Json("/info/vm/state".into(), state.into());
            assert_eq!(check(&plan).len(), wrong, "{state}");
        }
    }

    #[test]
    fn secrets_stay_out_of_sight() {
        let open = "b: secret `s` stands in an argument or environment";
        assert_eq!(spoilt(|s| s.act[0].args.push("--token=<secret:s>".into())), open);
        assert_eq!(spoilt(|s| s.undo = vec![Command::act(Tool::Helm, ["x"]).env("T", "<secret:s>")]), open);
        assert_eq!(
            spoilt(|s| s.done_when.want = Expect::Stdout("<secret:s>".into())),
            "b: secret `s` stands in a want"
        );
        assert_eq!(spoilt(|s| s.act[0] = s.act[0].clone().stdin_text("<secret:s>")), "");
    }

    #[test]
    fn limits_are_sane() {
        assert_eq!(spoilt(|s| s.limits.ask = Duration::ZERO), "b: the limit of its probe is not within 10m");
        assert_eq!(spoilt(|s| s.limits.act = LONGEST * 2), "b: the limit of its commands is not within 2h");
        assert_eq!(spoilt(|s| s.limits.attempts = 0), "b: its attempts are not 1 to 10");
        assert_eq!(spoilt(|s| s.limits.pause = Duration::ZERO), "b: its pause is not within 2h");
        assert_eq!(spoilt(|s| s.pool = Pool::Pull), "pool Pull is used and has no place");
    }

    #[test]
    fn every_file_is_there_and_every_fact_known_in_time() {
        let ask = |file: &str| Command::ask(Tool::Kubectl, ["diff"]).stdin_file(file);
        assert_eq!(spoilt(|s| s.done_when.ask = ask("g")), "b: uses the file `g`, which is not generated");
        let lacks = "b: uses the fact `hash`, which no probe of a step that it needs reads";
        assert_eq!(spoilt(|s| s.done_when.ask = ask("f")), lacks);
        assert_eq!(spoilt(|s| s.act[0].args.push("<digest:f>".into())), lacks);
        assert_eq!(spoilt(|s| s.done_when.want = Expect::Stdout("<fact:hash>".into())), lacks);
        let own = Command::ask(Tool::Kubectl, ["hash"]).capture("hash", Extractor::Stdout);
        assert_eq!(spoilt(|s| s.act = vec![own.clone(), ask("f")]), "");
        assert_eq!(spoilt(|s| s.act = vec![ask("f"), own]), lacks);
    }
}
