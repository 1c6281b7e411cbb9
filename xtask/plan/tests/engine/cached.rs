//! The same question about the same unchanged place is asked once: who may be kept by another's answer, and who not.

use super::*;

/// Steps that all ask `kubectl ask all`; each acts in its own way.
fn alike(ids: &[(&str, &[&str])]) -> Vec<Step> {
    let alike = |(id, needs): &(&str, &[&str])| {
        with(step(id, needs), |s| {
            s.done_when.ask = Command::ask(Tool::Kubectl, ["ask", "all"]);
            s.done_when.want = Expect::Match(format!("^{id}$"));
        })
    };
    ids.iter().map(alike).collect()
}

#[test]
fn one_answer_keeps_all_that_ask_the_same() {
    let script = ScriptedWorld::new().on("ask all", [says(0, "a\nb\nc")]);
    let log = [
        "0s $ kubectl ask all",
        "1s unchanged a",
        "1s b reuses the result of a",
        "1s unchanged b",
        "1s c reuses the result of a",
        "1s unchanged c",
    ];
    check(alike(&[("a", &[]), ("b", &[]), ("c", &["b"])]), script, &log);
}

#[test]
fn a_cached_answer_is_never_acted_on() {
    let script =
        ScriptedWorld::new().on("ask all", [says(0, "a"), says(0, "a"), says(0, "a\nb")]).on("act b", [well()]);
    let log = [
        "0s $ kubectl ask all",
        "1s unchanged a",
        "1s b reuses the result of a",
        "1s $ kubectl ask all",
        "2s $ kubectl act b",
        "3s $ kubectl ask all",
        "4s done b in 2s",
    ];
    check(alike(&[("a", &[]), ("b", &["a"])]), script, &log);
}

#[test]
fn applying_invalidates_cached_answers() {
    let acts = with(step("x", &[]), |s| s.needs = vec!["a".into()]);
    let script = ScriptedWorld::new().on("ask all", [says(0, "a\nb")]).on("ask x", [no(), yes()]).on("act x", [well()]);
    let mut steps = alike(&[("a", &[]), ("b", &["x"])]);
    steps.insert(1, acts);
    let log = [
        "0s $ kubectl ask all",
        "1s unchanged a",
        "1s $ kubectl ask x",
        "2s $ kubectl act x",
        "3s $ kubectl ask x",
        "4s done x in 2s",
        "4s $ kubectl ask all",
        "5s unchanged b",
    ];
    check(steps, script, &log);
}

#[test]
fn nothing_is_shared_while_something_acts_or_may_still_act() {
    // The act is ended by us: what it began inside a VM may go on for the rest of the run.
    let hung = with(step("x", &[]), |s| (s.limits.attempts, s.limits.act) = (1, Duration::from_secs(3)));
    let script =
        ScriptedWorld::new().on("ask x", [no()]).on("act x", [hangs(0)]).on("ask all", [says(0, "a\nb\nc").after(2)]);
    let mut steps = alike(&[("a", &[]), ("b", &["a"]), ("c", &["b"])]);
    steps.insert(0, hung);
    let mut script = script;
    run(&plan(steps), &mut script);
    let asked = script.log.iter().filter(|line| line.ends_with("ask all")).count();
    assert_eq!(asked, 3, "{:#?}", script.log);
}

#[test]
fn a_cached_answer_expires() {
    let late = with(step("x", &["a"]), |s| s.limits.ask = Duration::from_secs(60));
    let mut steps = alike(&[("a", &[]), ("b", &["x"])]);
    steps.insert(1, late);
    let script = |seconds| ScriptedWorld::new().on("ask all", [says(0, "a\nb")]).on("ask x", [yes().after(seconds)]);
    for (seconds, asked) in [(28, 1), (29, 2)] {
        let mut script = script(seconds);
        run(&plan(steps.clone()), &mut script);
        assert_eq!(script.log.iter().filter(|line| line.ends_with("ask all")).count(), asked, "{:#?}", script.log);
    }
}

#[test]
fn after_a_failure_one_step_probes_and_the_others_wait() {
    let script = ScriptedWorld::new().on("ask all", [fails(), says(0, "a\nb\nc")]);
    let steps = alike(&[("a", &[]), ("b", &[]), ("c", &[])]);
    let mut script = script;
    let outcome = run(&plan(steps), &mut script);
    let log = [
        "0s $ kubectl ask all",
        "1s $ kubectl ask all",
        "2s unchanged b",
        "2s c reuses the result of b",
        "2s unchanged c",
        "3s $ kubectl ask all",
        "4s unchanged a",
    ];
    assert_eq!(script.log, log);
    assert_eq!(outcome.unchanged, ["a", "b", "c"]);
}

#[test]
fn a_polling_step_probes_each_time() {
    let waits = with(alike(&[("b", &["a"])]).remove(0), |s| {
        s.act.clear();
        s.remedies = vec![Remedy { name: "not yet", when: Expect::ALWAYS, after: Duration::ZERO, act: vec![] }];
    });
    let mut steps = alike(&[("a", &[])]);
    steps.push(waits);
    let script = ScriptedWorld::new().on("ask all", [says(0, "a"), says(0, "a"), says(0, "a"), says(0, "a\nb")]);
    let mut script = script;
    let outcome = run(&plan(steps), &mut script);
    assert_eq!(script.log.iter().filter(|line| line.ends_with("ask all")).count(), 4, "{:#?}", script.log);
    assert_eq!(outcome.unchanged, ["a", "b"]);
}

#[test]
fn a_cached_answer_is_judged_by_the_steps_own_digests() {
    let mut steps = alike(&[("a", &[]), ("b", &["a"])]);
    steps[1].done_when.want = Expect::Match("^b <digest:f>$".into());
    let script = ScriptedWorld::new().on("ask all", [says(0, "a\nb 77")]).digest("f", "77");
    check(steps, script, &["0s $ kubectl ask all", "1s unchanged a", "1s b reuses the result of a", "1s unchanged b"]);
}

#[test]
fn stdin_is_part_of_the_cache_key() {
    let mut steps = alike(&[("a", &[]), ("b", &["a"])]);
    for step in &mut steps {
        step.done_when.ask = step.done_when.ask.clone().stdin_text("<fact:x>");
    }
    let mut script = ScriptedWorld::new().on("ask all", [says(0, "a\nb")]);
    let facts = BTreeMap::from([("x".to_owned(), "1".to_owned())]);
    let plan = plan(steps);
    script.run(Engine::new(&plan, plan.ids(), facts, 2));
    assert_eq!(script.log.iter().filter(|line| line.ends_with("ask all")).count(), 2, "{:#?}", script.log);
}

#[test]
fn an_interrupt_leaves_waiting_steps_undecided() {
    let script = ScriptedWorld::new().on("ask all", [says(0, "a\nb").after(5)]).at(2, Outside::Interrupt);
    let outcome = run(&plan(alike(&[("a", &[]), ("b", &[])])), &mut { script });
    assert_eq!(outcome.stopped, ["b"]);
    assert!(outcome.interrupted);
}
