//! Facts, secrets and digests on their way through a run.

use super::*;

fn learns(mut step: Step, name: &str) -> Step {
    step.done_when.ask = step.done_when.ask.capture(name, Extractor::Match("ip=(.*)".into()));
    step.done_when.want = Expect::Match("yes".into());
    step
}

#[test]
fn a_fact_learnt_by_a_probe_is_known_behind_it() {
    let uses = with(step("b", &["a"]), |s| {
        s.done_when.want = Expect::Stdout("<fact:ip>".into());
        s.act = vec![kubectl("act <fact:ip>")];
    });
    let script = ScriptedWorld::new()
        .on("ask a", [says(0, "yes\nip=10.0.0.1")])
        .on("ask b", [no(), says(0, "10.0.0.1")])
        .on("act <fact:ip>", [well()]);
    let mut script = script;
    run(&plan([learns(step("a", &[]), "ip"), uses]), &mut script);
    assert_eq!(script.log[1..3], ["1s learnt ip=10.0.0.1", "1s unchanged a"]);
    assert_eq!(script.log.last().map(String::as_str), Some("4s done b in 2s"));
    let shown = script
        .actions
        .iter()
        .any(|a| matches!(a, Action::Event(StepEvent::Running { command, .. }) if command == "kubectl act 10.0.0.1"));
    assert!(shown, "people see the command with its facts");
}

#[test]
fn an_unknown_fact_is_a_failure_that_names_it() {
    let lacking = |change: fn(&mut Step)| {
        let mut plan = plan([with(step("a", &[]), change)]);
        plan.files.insert("f".into(), "<fact:x>".into());
        let mut script = ScriptedWorld::new().on("ask a", [no()]).on("act a", [well()]);
        let outcome = run(&plan, &mut script);
        assert_eq!(outcome.failed[0].attempt, 1);
        outcome.failed[0].why.clone()
    };
    let why = "unresolved values: <fact:x>";
    assert_eq!(lacking(|s| s.done_when.ask.args.push("<fact:x>".into())), why);
    assert_eq!(lacking(|s| s.done_when.want = Expect::Stdout("<fact:x>".into())), why);
    assert_eq!(lacking(|s| s.remedies = vec![remedy("c", "<fact:x>", &[])]), why);
    assert_eq!(lacking(|s| s.act[0] = s.act[0].clone().stdin_file("f")), why);
    assert_eq!(lacking(|s| s.act[0].args.push("<digest:f>".into())), why);
}

#[test]
fn facts_of_earlier_runs_are_known_until_better_is_learnt() {
    let facts = BTreeMap::from([("ip".to_owned(), "old".to_owned()), ("x".to_owned(), "1".to_owned())]);
    let plan = plan([learns(step("a", &[]), "ip")]);
    let mut engine = Engine::new(&plan, plan.ids(), facts, 1);
    engine.step(Duration::ZERO, tool::Event::Tick);
    let answer = tool::Output { stdout: "yes ip=new".into(), ..tool::Output::of(Exit::Code(0)) };
    engine.step(Duration::ZERO, tool::Event::Ended(1, answer));
    assert_eq!(Vec::from_iter(engine.facts().values()), ["new", "1"]);
}

#[test]
fn a_yes_that_lacks_its_fact_is_waited_for_and_nothing_is_run() {
    let script = ScriptedWorld::new().on("ask a", [says(0, "yes"), says(0, "yes ip=7")]);
    let log = ["0s $ kubectl ask a", "3s $ kubectl ask a", "4s learnt ip=7", "4s unchanged a"];
    check([learns(step("a", &[]), "ip")], script, &log);
    let script = ScriptedWorld::new().on("ask a", [says(0, "yes")]);
    let once = with(learns(step("a", &[]), "ip"), |s| s.limits.attempts = 1);
    let outcome = run(&plan([once]), &mut { script });
    assert_eq!(outcome.failed[0].why, "the check passed, but its output has no ip");
}

#[test]
fn a_command_without_its_captures_has_failed() {
    let once = with(step("a", &[]), |s| {
        s.act[0] = s.act[0].clone().capture("x", Extractor::Pointer("/x".into()));
        s.limits.attempts = 1;
    });
    let script = ScriptedWorld::new().on("ask a", [no()]).on("act a", [says(0, "{}")]);
    assert_eq!(run(&plan([once]), &mut { script }).failed[0].why, "its output has no x");
}

#[test]
fn secrets_leave_by_learnt_alone() {
    let sensitive = with(step("a", &[]), |s| {
        s.act = vec![kubectl("mint").capture_secret("s", Extractor::Stdout), kubectl("sensitive")];
        s.act[1] = s.act[1].clone().capture_secret("t", Extractor::Pointer("/t".into()));
        s.done_when.ask = s.done_when.ask.clone().capture_secret("u", Extractor::Stdout);
        s.limits.attempts = 1;
    });
    let mut script = ScriptedWorld::new()
        .on("ask a", [says(0, "hunter1")])
        .on("mint", [says(0, "hunter2")])
        .on("sensitive", [says(0, "hunter3").after(5)])
        .at(4, Outside::Lines);
    let plan = plan([sensitive]);
    let mut engine_facts = BTreeMap::new();
    engine_facts.insert("f".to_owned(), "1".to_owned());
    let outcome = script.run(Engine::new(&plan, plan.ids(), engine_facts, 1));
    assert_eq!(outcome.failed.len(), 1);
    let said = format!("{outcome:?}");
    assert!(!said.contains("hunter"), "{said}");
    for action in &script.actions {
        let learnt = matches!(action, Action::Captured { secret: true, .. });
        assert!(learnt || !format!("{action:?}").contains("hunter"), "{action:?}");
        assert!(!format!("{:?}", action.entry()).contains("hunter"), "{action:?}");
    }
    assert!(script.log.contains(&"2s learnt secret s=hunter2".to_owned()));
    assert!(!script.log.iter().any(|l| l.contains("prints")));
}

#[test]
fn a_sensitive_probe_reports_only_its_expectation() {
    let only_checked = with(step("a", &[]), |s| {
        s.done_when.ask = s.done_when.ask.clone().capture_secret("u", Extractor::Stdout);
        s.act.clear();
    });
    let outcome = run(&plan([only_checked]), &mut ScriptedWorld::new().on("ask a", [says(0, "hunter1")]));
    assert_eq!(
        outcome.failed[0].why,
        r#"precondition failed (nothing to apply): expected stdout = "yes"; output is redacted"#
    );
    assert_eq!(outcome.failed[0].output.stdout, "");
}

#[test]
fn lines_are_passed_on() {
    let mut script = ScriptedWorld::new().on("ask a", [yes().after(5)]).at(2, Outside::Lines);
    run(&plan([step("a", &[])]), &mut script);
    assert_eq!(script.log[1], "2s a prints a line");
}

#[test]
fn the_driver_is_asked_for_the_digests_of_an_expectation() {
    let mut plan = plan([with(step("a", &[]), |s| s.done_when.want = Expect::Match("v=<digest:f>$".into()))]);
    plan.files.insert("f".into(), "text".into());
    let mut script = ScriptedWorld::new().on("ask a", [says(0, "v=abc")]).digest("f", "abc");
    assert_eq!(run(&plan, &mut script).unchanged, ["a"]);
}

#[test]
fn a_run_is_recorded_in_the_journal() {
    let script =
        ScriptedWorld::new().on("ask a", [says(0, "yes ip=7")]).on("ask b", [no(), yes()]).on("act b", [well()]);
    let mut script = script.on("ask c", [no()]).on("act c", [hangs(0)]).at(10, Outside::Interrupt);
    run(&plan([learns(step("a", &[]), "ip"), step("b", &["a"]), step("c", &["b"])]), &mut script);
    let start = plan::journal::Entry::RunStarted { command: "sample".into(), plan: "d".into(), at_ms: 0 };
    let entries = std::iter::once(start).chain(script.actions.iter().filter_map(Action::entry));
    let journal = plan::journal::read(&entries.map(|e| plan::journal::line(&e)).collect::<String>());
    assert_eq!(journal.facts["ip"], "7");
    assert_eq!(journal.took, BTreeMap::from([("b".to_owned(), Duration::from_secs(2))]));
    assert_eq!(journal.last.map(|run| run.open), Some(vec!["c".to_owned()]));
}
