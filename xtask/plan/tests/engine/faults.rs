//! One step and what may go wrong with it.

use super::*;

#[test]
fn a_step_that_matches_is_unchanged() {
    let outcome =
        check([step("a", &[])], ScriptedWorld::new().on("ask a", [yes()]), &["0s $ kubectl ask a", "1s unchanged a"]);
    assert_eq!(outcome, Outcome { unchanged: vec!["a".into()], ..Outcome::default() });
}

#[test]
fn a_step_that_differs_is_applied_and_probed_again() {
    let script = ScriptedWorld::new().on("ask a", [no(), no(), yes()]).on("act a", [well()]);
    let log = ["0s $ kubectl ask a", "1s $ kubectl act a", "2s $ kubectl ask a", "5s $ kubectl ask a"];
    let outcome = check([step("a", &[])], script, &[&log[..], &["6s done a in 5s"]].concat());
    assert_eq!(outcome, Outcome { done: vec!["a".into()], ..Outcome::default() });
}

#[test]
fn the_last_probe_runs_at_the_settle_limit_and_pauses_double() {
    let script = ScriptedWorld::new().on("ask a", [no()]).on("act a", [well()]);
    let patient = with(step("a", &[]), |s| (s.limits.attempts, s.limits.settle) = (3, Duration::from_secs(4)));
    let still = r#"not satisfied after apply: stdout: expected "yes", got "no""#;
    let outcome = check(
        [patient],
        script,
        &[
            "0s $ kubectl ask a",
            "1s $ kubectl act a",
            "2s $ kubectl ask a",
            "5s $ kubectl ask a",
            "6s $ kubectl ask a",
            &format!("7s retry a after 1 in 2s: {still}"),
            "9s $ kubectl ask a",
            "10s $ kubectl act a",
            "11s $ kubectl ask a",
            "14s $ kubectl ask a",
            "15s $ kubectl ask a",
            &format!("16s retry a after 2 in 4s: {still}"),
            "20s $ kubectl ask a",
            "21s $ kubectl act a",
            "22s $ kubectl ask a",
            "25s $ kubectl ask a",
            "26s $ kubectl ask a",
            &format!("27s failed a 3/3: {still}"),
        ],
    );
    assert_eq!(outcome.failed[0].command.to_string(), "kubectl ask a");
}

#[test]
fn pauses_grow_to_eight_times_their_length() {
    let script = || ScriptedWorld::new().on("ask a", [ends(Exit::Signal(9))]);
    let mut script = script();
    run(&plan([with(step("a", &[]), |s| s.limits.attempts = 7)]), &mut script);
    let pauses: Vec<u64> = script
        .actions
        .iter()
        .filter_map(|a| match a {
            Action::Event(StepEvent::Retrying { pause, .. }) => Some(pause.as_secs()),
            _ => None,
        })
        .collect();
    assert_eq!(pauses, [2, 4, 8, 16, 16, 16]);
}

#[test]
fn a_failing_command_whose_effect_is_there_is_already_satisfied() {
    let script = ScriptedWorld::new().on("ask a", [no(), yes()]).on("act a", [fails()]);
    let log = ["0s $ kubectl ask a", "1s $ kubectl act a", "2s $ kubectl ask a", "3s done a in 2s, already satisfied"];
    check([step("a", &[])], script, &log);
}

#[test]
fn a_failing_command_ends_its_attempt_and_the_next_probes_first() {
    let two = with(step("a", &[]), |s| s.act = vec![kubectl("one"), kubectl("two")]);
    let script =
        ScriptedWorld::new().on("ask a", [no(), no(), no(), yes()]).on("one", [fails(), well()]).on("two", [well()]);
    let outcome = check(
        [two],
        script,
        &[
            "0s $ kubectl ask a",
            "1s $ kubectl one",
            "2s $ kubectl ask a",
            "3s retry a after 1 in 2s: exit 1",
            "5s $ kubectl ask a",
            "6s $ kubectl one",
            "7s $ kubectl two",
            "8s $ kubectl ask a",
            "9s done a in 8s",
        ],
    );
    assert_eq!(outcome.done, ["a"]);
}

#[test]
fn ignored_exit_codes_do_not_cover_timeouts() {
    let two = with(step("a", &[]), |s| s.act = vec![kubectl("one").ignore_exit(), kubectl("two")]);
    let log = ["0s $ kubectl ask a", "1s $ kubectl one", "2s $ kubectl two", "3s $ kubectl ask a", "4s done a in 3s"];
    let script = ScriptedWorld::new().on("ask a", [no(), yes()]).on("one", [fails()]).on("two", [well()]);
    check([two.clone()], script, &log);
    let mut script = ScriptedWorld::new().on("ask a", [no()]).on("one", [hangs(0)]);
    assert_eq!(run(&plan([two]), &mut script).failed[0].why, "timed out after 1m");
}

#[test]
fn a_final_exit_code_fails_its_step_at_once() {
    let check = Command { final_exit: Some(3), ..kubectl("check") };
    let one = with(step("a", &[]), |s| s.act = vec![check]);
    let outcome = run(&plan([one.clone()]), &mut ScriptedWorld::new().on("ask a", [no()]).on("check", [says(3, "x")]));
    assert_eq!((outcome.failed[0].why.as_str(), outcome.failed[0].attempt), ("exit 3", 1));
    let outcome =
        run(&plan([one]), &mut ScriptedWorld::new().on("ask a", [no(), no(), no(), yes()]).on("check", [fails()]));
    assert_eq!(outcome.done, ["a"], "any other code is not final");
}

#[test]
fn the_last_failure_is_that_of_the_command() {
    let script = ScriptedWorld::new().on("ask a", [no()]).on("act a", [fails(), says(7, "x")]);
    let outcome = run(&plan([step("a", &[])]), &mut { script });
    let failure = &outcome.failed[0];
    assert_eq!((failure.why.as_str(), failure.attempt, failure.attempts), ("exit 7", 2, 2));
    assert_eq!(failure.command.to_string(), "kubectl act a");
    assert_eq!(failure.took, Duration::from_secs(1));
}

#[test]
fn a_hanging_command_is_terminated_then_killed_then_abandoned() {
    let once = |id| with(step(id, &[]), |s| s.limits.attempts = 1);
    let check_hang = |stubborn, rest: &[&str]| {
        let script = ScriptedWorld::new().on("ask a", [no()]).on("act a", [hangs(stubborn)]);
        check(
            [once("a")],
            script,
            &[&["0s $ kubectl ask a", "1s $ kubectl act a", "61s kill kubectl act a"], rest].concat(),
        );
    };
    check_hang(0, &["61s $ kubectl ask a", "62s failed a 1/1: timed out after 1m"]);
    let hard = "66s kill hard kubectl act a";
    check_hang(1, &[hard, "66s $ kubectl ask a", "67s failed a 1/1: timed out after 1m"]);
    check_hang(2, &[hard, "71s failed a 1/1: it does not end and cannot be killed, after 1m"]);
}

#[test]
fn a_command_that_cannot_be_killed_is_not_run_twice() {
    let script = ScriptedWorld::new().on("ask a", [no()]).on("act a", [hangs(2)]);
    let outcome = run(&plan([with(step("a", &[]), |s| s.limits.attempts = 5)]), &mut { script });
    assert_eq!(outcome.failed[0].attempt, 1);
}

#[test]
fn no_answer_is_not_a_no() {
    let script = ScriptedWorld::new().on("ask a", [hangs(0), ends(Exit::Signal(9))]).on("act a", [well()]);
    check(
        [step("a", &[])],
        script,
        &[
            "0s $ kubectl ask a",
            "10s kill kubectl ask a",
            "12s $ kubectl ask a",
            "15s $ kubectl ask a",
            "16s retry a after 1 in 2s: the check did not complete: signal 9",
            "18s $ kubectl ask a",
            "21s $ kubectl ask a",
            "24s $ kubectl ask a",
            "25s failed a 2/2: the check did not complete: signal 9",
        ],
    );
}

#[test]
fn an_error_of_a_question_is_no_answer_and_is_asked_again() {
    let away = || says(2, "").stderr("Unable to connect to the server: context deadline exceeded");
    let script = ScriptedWorld::new().on("ask a", [away(), yes()]);
    let log = ["0s $ kubectl ask a", "3s $ kubectl ask a", "4s unchanged a"];
    check([step("a", &[])], script, &log);
}

#[test]
fn after_a_failed_command_no_answer_does_not_end_the_attempt() {
    let script = ScriptedWorld::new().on("ask a", [no(), ends(Exit::Signal(9)), yes()]).on("act a", [fails()]);
    let log = [
        "0s $ kubectl ask a",
        "1s $ kubectl act a",
        "2s $ kubectl ask a",
        "5s $ kubectl ask a",
        "6s done a in 5s, already satisfied",
    ];
    check([step("a", &[])], script, &log);
}

#[test]
fn another_question_may_show_that_a_remedy_is_called_for_and_never_the_act() {
    let asks_twice = || {
        with(step("a", &[]), |s| {
            s.done_when.fallback = Some(Command::ask(Tool::Kubectl, ["list"]));
            s.remedies = vec![remedy("stopped", "stopped", &["start a"])];
        })
    };
    let silent = || ends(Exit::Signal(9));
    let script = ScriptedWorld::new().on("ask a", [silent(), yes()]).on("list", [says(0, "stopped")]);
    let log =
        ["0s $ kubectl ask a", "1s $ kubectl list", "2s $ kubectl start a", "3s $ kubectl ask a", "4s done a in 2s"];
    check([asks_twice()], script.on("start a", [well()]), &log);
    let script = ScriptedWorld::new().on("ask a", [silent(), yes()]).on("list", [no()]);
    let log = ["0s $ kubectl ask a", "1s $ kubectl list", "4s $ kubectl ask a", "5s unchanged a"];
    check([asks_twice()], script, &log);
}

#[test]
fn a_state_that_may_pass_is_given_its_time_before_its_remedy() {
    let boots = |answers: Vec<_>| {
        let remedy = Remedy { after: Duration::from_secs(5), ..remedy("unknown", "unknown", &["kill a"]) };
        let script = ScriptedWorld::new().on("ask a", answers).on("kill a", [well()]);
        (with(step("a", &[]), |s| s.remedies = vec![remedy]), script)
    };
    let (step, script) = boots(vec![says(0, "unknown"), says(0, "unknown"), yes()]);
    check([step], script, &["0s $ kubectl ask a", "3s $ kubectl ask a", "6s $ kubectl ask a", "7s unchanged a"]);
    let unknown = || says(0, "unknown");
    let (step, script) = boots(vec![unknown(), unknown(), unknown(), yes()]);
    let log = [
        "0s $ kubectl ask a",
        "3s $ kubectl ask a",
        "6s $ kubectl ask a",
        "7s $ kubectl kill a",
        "8s $ kubectl ask a",
        "9s done a in 2s",
    ];
    check([step], script, &log);
}

#[test]
fn a_match_that_must_last_is_asked_once_more() {
    let lasting = || with(step("a", &[]), |s| s.done_when.lasts = Duration::from_secs(20));
    let script = ScriptedWorld::new().on("ask a", [yes()]);
    check([lasting()], script, &["0s $ kubectl ask a", "21s $ kubectl ask a", "22s unchanged a"]);
    let script = ScriptedWorld::new().on("ask a", [yes(), no(), yes()]).on("act a", [well()]);
    let log =
        ["0s $ kubectl ask a", "21s $ kubectl ask a", "22s $ kubectl act a", "23s $ kubectl ask a", "24s done a in 2s"];
    check([lasting()], script, &log);
}

#[test]
fn time_does_not_pass_while_an_earlier_command_keeps_the_driver_from_answering() {
    let multipass = |id, words: &[&str]| {
        let ask = Command::ask(Tool::Multipass, words.iter().copied());
        with(step(id, &[]), |s| (s.done_when.ask, s.limits.attempts, s.limits.settle) = (ask, 1, Duration::ZERO))
    };
    let mut stop = multipass("stop", &["list", "a"]);
    stop.act = vec![Command::act(Tool::Multipass, ["stop", "a"])];
    let mut asks = multipass("ask", &["info", "b"]);
    asks.after = vec![];
    let script = |stops: u64| {
        ScriptedWorld::new()
            .on_multipass("list a", [no(), yes()])
            .on_multipass("stop a", [well().after(stops)])
            .on_multipass("info b", [yes().after(35)])
    };
    let outcome = run(&plan([stop.clone(), asks.clone()]), &mut script(34));
    assert_eq!((outcome.done, outcome.failed.len()), (vec!["stop".into()], 1), "it began before the stop");
    asks.needs = vec!["wait".into()];
    let wait = with(step("wait", &[]), |s| s.done_when.want = Expect::Stdout(String::new()));
    let outcome = run(&plan([stop, wait, asks]), &mut script(34).on("ask wait", [well().after(3)]));
    assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
}

#[test]
fn a_remedy_may_handle_no_answer() {
    let hung = Remedy { when: Expect::Unanswered, ..remedy("hung", "", &["restart a"]) };
    let script = ScriptedWorld::new().on("ask a", [hangs(0), yes()]).on("restart a", [well()]);
    let outcome = run(&plan([with(step("a", &[]), |s| s.remedies = vec![hung])]), &mut { script });
    assert_eq!(outcome.done, ["a"]);
}

#[test]
fn a_missing_program_is_never_retried() {
    let script = ScriptedWorld::new().on("ask a", [ends(Exit::Missing)]);
    check([step("a", &[])], script, &["0s $ kubectl ask a", "1s failed a 1/2: no such program on PATH"]);
    let script = ScriptedWorld::new().on("ask a", [no()]).on("act a", [ends(Exit::Missing)]);
    let log = ["0s $ kubectl ask a", "1s $ kubectl act a", "2s failed a 1/2: no such program on PATH"];
    check([step("a", &[])], script, &log);
}

#[test]
fn a_missing_program_can_have_a_remedy() {
    let absent = Remedy { when: Expect::Absent, ..remedy("not there", "", &["fetch a"]) };
    let script = ScriptedWorld::new().on("ask a", [ends(Exit::Missing), yes()]).on("fetch a", [well()]);
    let outcome = run(&plan([with(step("a", &[]), |s| s.remedies = vec![absent])]), &mut { script });
    assert_eq!(outcome.done, ["a"]);
}

#[test]
fn the_first_matching_remedy_is_applied() {
    let cases = vec![remedy("stopped", "stopped", &["start a"]), remedy("also", "stopped", &["never"])];
    let script = ScriptedWorld::new().on("ask a", [says(0, "stopped"), yes()]).on("start a", [well()]);
    let mut script = script;
    run(&plan([with(step("a", &[]), |s| s.remedies = cases)]), &mut script);
    assert!(script.log.contains(&"1s $ kubectl start a".to_owned()));
    let named = script.actions.iter().any(|a| {
        matches!(a, Action::Event(StepEvent::Running { remedy: Some("stopped"), attempt: 1, command, mutates: true, .. })
            if command == "kubectl start a")
    });
    assert!(named);
}

#[test]
fn a_partial_state_is_repaired_by_its_remedy() {
    let half = with(step("a", &[]), |s| s.remedies = vec![remedy("half", "half", &["reset a", "act a"])]);
    let script = ScriptedWorld::new()
        .on("ask a", [no(), says(0, "half"), says(0, "half"), yes()])
        .on("act a", [fails(), well()])
        .on("reset a", [well()]);
    check(
        [half],
        script,
        &[
            "0s $ kubectl ask a",
            "1s $ kubectl act a",
            "2s $ kubectl ask a",
            "3s retry a after 1 in 2s: exit 1",
            "5s $ kubectl ask a",
            "6s $ kubectl reset a",
            "7s $ kubectl act a",
            "8s $ kubectl ask a",
            "9s done a in 8s",
        ],
    );
}

#[test]
fn a_remedy_without_commands_waits() {
    let boots = with(step("a", &[]), |s| s.remedies = vec![remedy("boots", "boots", &[])]);
    let script = ScriptedWorld::new().on("ask a", [says(0, "boots"), says(0, "boots"), yes()]);
    let log = ["0s $ kubectl ask a", "3s $ kubectl ask a", "6s $ kubectl ask a", "7s unchanged a"];
    check([boots], script, &log);
}

#[test]
fn after_a_failed_command_a_remedy_still_has_time_to_settle() {
    let boots = with(step("a", &[]), |s| s.remedies = vec![remedy("boots", "boots", &[])]);
    let script = ScriptedWorld::new().on("ask a", [no(), says(0, "boots"), says(0, "boots"), says(0, "boots"), yes()]);
    check(
        [boots],
        script.on("act a", [fails()]),
        &[
            "0s $ kubectl ask a",
            "1s $ kubectl act a",
            "2s $ kubectl ask a",
            "3s retry a after 1 in 2s: exit 1",
            "5s $ kubectl ask a",
            "8s $ kubectl ask a",
            "11s $ kubectl ask a",
            "12s done a in 11s, already satisfied",
        ],
    );
}

#[test]
fn without_commands_it_can_only_be_checked() {
    let script = ScriptedWorld::new().on("ask a", [no()]);
    let why = r#"1s failed a 1/2: precondition failed (nothing to apply): stdout: expected "yes", got "no""#;
    check([with(step("a", &[]), |s| s.act.clear())], script, &["0s $ kubectl ask a", why]);
}

#[test]
fn a_step_that_matched_during_the_pause_is_already_satisfied() {
    let script = ScriptedWorld::new().on("ask a", [no(), no(), yes()]).on("act a", [fails()]);
    let outcome = run(&plan([step("a", &[])]), &mut { script });
    assert_eq!(outcome.done, ["a"]);
}

#[test]
fn ends_of_unknown_commands_and_late_events_are_ignored() {
    let plan = plan([step("a", &[])]);
    let mut engine = Engine::new(&plan, BTreeSet::from(["a".into()]), BTreeMap::new(), 0);
    let start = engine.step(Duration::ZERO, tool::Event::Tick);
    assert_eq!(start.len(), 2);
    let end = |task| tool::Event::Ended(task, tool::Output::of(Exit::Missing));
    assert_eq!(engine.step(Duration::ZERO, end(77)), []);
    assert_eq!(engine.step(Duration::ZERO, end(1)).len(), 1);
    assert!(engine.outcome().is_some_and(|o| o.failed.len() == 1));
    assert_eq!(engine.step(Duration::ZERO, tool::Event::Interrupt), []);
    assert!(engine.outcome().is_some_and(|o| !o.interrupted));
    assert_eq!(engine.deadline(), None);
}
