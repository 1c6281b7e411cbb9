//! Steps among others: needs, order, choice, pools, jobs and interrupts.

use super::*;

/// Steps that are all brought about at once, their commands after one second.
fn willing(ids: &[&str]) -> ScriptedWorld {
    ids.iter().fold(ScriptedWorld::new(), |script, id| {
        script.on(&format!("ask {id}"), [no(), yes()]).on(&format!("act {id}"), [well()])
    })
}

#[test]
fn a_step_begins_when_its_needs_are_done() {
    let mut script = willing(&["a", "b"]);
    run(&plan([step("a", &[]), step("b", &["a"])]), &mut script);
    assert_eq!(script.log[3..5], ["3s done a in 2s", "3s $ kubectl ask b"]);
}

#[test]
fn order_without_need_holds_even_after_a_failure() {
    let after = with(step("b", &[]), |s| s.after = vec!["a".into()]);
    let script = ScriptedWorld::new().on("ask a", [ends(Exit::Missing)]).on("ask b", [yes()]);
    let outcome = check(
        [step("a", &[]), after],
        script,
        &["0s $ kubectl ask a", "1s failed a 1/2: no such program on PATH", "1s $ kubectl ask b", "2s unchanged b"],
    );
    assert_eq!(outcome.unchanged, ["b"]);
}

#[test]
fn a_failure_blocks_all_behind_it_and_nothing_else() {
    let steps = [step("a", &[]), step("b", &["a"]), step("c", &["b"]), step("d", &[])];
    let script = ScriptedWorld::new().on("ask a", [ends(Exit::Missing)]).on("ask d", [yes()]);
    let outcome = run(&plan(steps), &mut { script });
    assert_eq!(outcome.blocked, [("b".into(), "a".into()), ("c".into(), "a".into())]);
    assert_eq!(outcome.unchanged, ["d"]);
}

#[test]
fn jobs_limit_running_commands_and_the_plan_gives_the_order() {
    let steps = ["a", "b", "c"].map(|id| step(id, &[]));
    let mut script = ["a", "b", "c"].iter().fold(ScriptedWorld::new(), |s, id| s.on(&format!("ask {id}"), [yes()]));
    run(&plan(steps), &mut script);
    let log = [
        "0s $ kubectl ask a",
        "0s $ kubectl ask b",
        "1s unchanged a",
        "1s $ kubectl ask c",
        "1s unchanged b",
        "2s unchanged c",
    ];
    assert_eq!(script.log, log);
}

#[test]
fn a_pool_slot_is_held_while_applying_and_the_probe_repeats_after_waiting_for_it() {
    let launch = |id| with(step(id, &[]), |s| s.pool = Pool::Launch);
    let mut script = ScriptedWorld::new()
        .on("ask a", [no(), yes()])
        .on("act a", [well().after(5)])
        .on("ask b", [no(), no(), yes()])
        .on("act b", [well()]);
    let mut plan = plan([launch("a"), launch("b")]);
    plan.pools.insert(Pool::Launch, 1);
    run(&plan, &mut script);
    assert_eq!(
        script.log,
        [
            "0s $ kubectl ask a",
            "0s $ kubectl ask b",
            "1s $ kubectl act a",
            "6s $ kubectl ask a",
            "6s $ kubectl ask b",
            "7s done a in 6s",
            "7s $ kubectl act b",
            "8s $ kubectl ask b",
            "9s done b in 2s",
        ]
    );
}

#[test]
fn a_pool_slot_is_free_while_its_step_pauses() {
    let launch = |id| with(step(id, &[]), |s| (s.pool, s.limits.pause) = (Pool::Launch, Duration::from_secs(60)));
    let mut script = ScriptedWorld::new()
        .on("ask a", [no(), no(), yes()])
        .on("act a", [fails()])
        .on("ask b", [no(), no(), yes()])
        .on("act b", [well()]);
    let outcome = run(&plan([launch("a"), launch("b")]), &mut script);
    assert_eq!(outcome.done, ["a", "b"]);
    let at = |part: &str| script.log.iter().position(|l| l.contains(part)).unwrap();
    assert!(at("retry a") < at("act b") && at("act b") < at("done a"), "{:#?}", script.log);
}

#[test]
fn excluded_dependencies_are_only_checked() {
    let steps = || plan([step("a", &[]), step("b", &["a"]), step("c", &[])]);
    let mut script = ScriptedWorld::new().on("ask a", [yes()]).on("ask b", [yes()]);
    let outcome = run_chosen(&steps(), &["b"], &mut script);
    assert_eq!((outcome.unchanged, outcome.skipped), (vec!["a".into(), "b".into()], vec!["c".into()]));
    let mut script = ScriptedWorld::new().on("ask a", [no()]);
    let outcome = run_chosen(&steps(), &["b"], &mut script);
    let why = r#"prerequisite excluded by --only/--skip and not satisfied: stdout: expected "yes", got "no""#;
    assert_eq!(outcome.failed[0].why, why);
    assert_eq!(outcome.blocked, [("b".into(), "a".into())]);
}

#[test]
fn nothing_chosen_is_over_at_once() {
    let outcome = run_chosen(&plan([step("a", &[])]), &[], &mut ScriptedWorld::new());
    assert_eq!(outcome.skipped, ["a"]);
    assert_eq!(run(&plan([]), &mut ScriptedWorld::new()), Outcome::default());
}

#[test]
fn a_cyclic_plan_still_ends() {
    let outcome = run(&plan([step("a", &["b"]), step("b", &["a"]), step("c", &["x"])]), &mut ScriptedWorld::new());
    assert_eq!(outcome.blocked.len(), 3);
    assert_eq!(outcome.blocked[2], ("c".into(), "x".into()));
}

#[test]
fn one_interrupt_lets_the_running_command_end_and_starts_nothing() {
    let two = with(step("a", &[]), |s| s.act = vec![kubectl("one").capture("x", Extractor::Stdout), kubectl("two")]);
    let script = ScriptedWorld::new().on("ask a", [no()]).on("one", [says(0, "1").after(9)]).at(3, Outside::Interrupt);
    let outcome = check(
        [two, step("b", &["a"])],
        script,
        &["0s $ kubectl ask a", "1s $ kubectl one", "3s stopping", "10s learnt x=1"],
    );
    let stopped = vec!["a".into(), "b".into()];
    assert_eq!(outcome, Outcome { stopped, interrupted: true, ..Outcome::default() });
}

#[test]
fn an_interrupted_question_still_counts() {
    let script =
        ScriptedWorld::new().on("ask a", [yes().after(5)]).on("ask b", [no().after(5)]).at(3, Outside::Interrupt);
    let outcome = run(&plan([step("a", &[]), step("b", &[])]), &mut { script });
    assert_eq!((outcome.unchanged, outcome.stopped), (vec!["a".into()], vec!["b".into()]));
}

#[test]
fn an_interrupted_command_has_no_more_than_its_time() {
    let script = ScriptedWorld::new().on("ask a", [no()]).on("act a", [hangs(0)]).at(3, Outside::Interrupt);
    let log = ["0s $ kubectl ask a", "1s $ kubectl act a", "3s stopping", "61s kill kubectl act a"];
    check([step("a", &[])], script, &log);
}

#[test]
fn two_interrupts_kill() {
    for (stubborn, end) in [(1, 4), (2, 9)] {
        let script = ScriptedWorld::new().on("ask a", [no()]).on("act a", [hangs(stubborn)]);
        let mut script = script.at(3, Outside::Interrupt).at(4, Outside::Interrupt);
        let outcome = run(&plan([step("a", &[])]), &mut script);
        assert_eq!(script.log[2..], ["3s stopping", "4s kill hard kubectl act a"]);
        assert_eq!(outcome.stopped, ["a"], "after {end}s");
    }
}

#[test]
fn an_interrupt_in_a_pause_is_an_end() {
    let script = ScriptedWorld::new().on("ask a", [no()]).on("act a", [fails()]).at(4, Outside::Interrupt);
    let outcome = run(&plan([step("a", &[])]), &mut { script });
    assert_eq!(outcome.stopped, ["a"]);
}

#[test]
fn what_cannot_succeed_without_a_failed_step_is_ended_at_once() {
    let join = |id, needs: &[&str]| with(step(id, needs), |s| s.binds_to = vec!["init".into()]);
    let init = with(step("init", &[]), |s| s.limits.attempts = 1);
    let steps = [init, join("join", &[]), join("late", &["join"]), step("behind", &["join"])];
    let script = ScriptedWorld::new()
        .on("ask init", [no()])
        .on("act init", [fails().after(5)])
        .on("ask join", [no()])
        .on("act join", [hangs(0)]);
    let outcome = check(
        steps,
        script,
        &[
            "0s $ kubectl ask init",
            "0s $ kubectl ask join",
            "1s $ kubectl act init",
            "1s $ kubectl act join",
            "6s $ kubectl ask init",
            "7s failed init 1/1: exit 1",
            "7s kill kubectl act join",
            "7s blocked late by init",
            "7s blocked join by init",
            "7s blocked behind by init",
        ],
    );
    assert_eq!((outcome.failed.len(), outcome.blocked.len()), (1, 3));
}

#[test]
fn launches_leave_a_core_to_the_drivers_daemon() {
    let launch = |id| with(step(id, &[]), |s| s.pool = Pool::Launch);
    let mut plan = plan(["a", "b", "c"].map(launch));
    plan.pools = BTreeMap::from([(Pool::Launch, 3)]);
    for (cores, most) in [("1", 1), ("2", 1), ("3", 2), ("12", 3)] {
        let script = ["a", "b", "c"].iter().fold(ScriptedWorld::new(), |script, id| {
            script.on(&format!("ask {id}"), [no(), yes()]).on(&format!("act {id}"), [well().after(10)])
        });
        let mut script = script;
        let facts = BTreeMap::from([("host.cpus".to_owned(), cores.to_owned())]);
        script.run(Engine::new(&plan, plan.ids(), facts, 5));
        let together = script.log.iter().filter(|line| line.starts_with("1s $ kubectl act")).count();
        assert_eq!(together, most, "{cores} cores: {:#?}", script.log);
    }
}
