use super::*;

fn out(code: i32, stdout: &str, stderr: &str) -> Output {
    Output { exit: Exit::Code(code), stdout: stdout.into(), stderr: stderr.into(), cut: false }
}

fn s(text: &str) -> String {
    text.to_owned()
}

/// Every kind of want, each with an answer that it accepts.
fn samples() -> Vec<(Expect, Output)> {
    let json = out(0, r#"{"s":"Running","n":7,"t":true,"d":"12","v":"v1.35.7","a":["10.0.0.1","fe80::1"]}"#, "");
    vec![
        (Expect::Exit(3), out(3, "", "")),
        (Expect::Stdout(s("ok")), out(0, " ok\n", "")),
        (Expect::Lines(vec![s("b"), s("a")]), out(0, "a\r\nx\n b\n", "")),
        (Expect::Match(s(r"^a\d+$")), out(0, "x\na12\n", "")),
        (Expect::Stderr(s("does not exist$")), out(2, "", "info failed: instance \"a\" does not exist\n")),
        (Expect::Json(s("/s"), s("Running")), json.clone()),
        (Expect::Json(s("/n"), s("7")), json.clone()),
        (Expect::Json(s("/t"), s("true")), json.clone()),
        (Expect::JsonAtLeast(s("/n"), 7), json.clone()),
        (Expect::JsonAtLeast(s("/d"), 12), json.clone()),
        (Expect::JsonEach(s("/a/*"), s("x")), out(0, r#"{"a":["x","x"]}"#, "")),
        (Expect::JsonPresent(s("/a")), json.clone()),
        (Expect::Version(s("/v"), s(">=1.35, <1.36")), json.clone()),
        (Expect::Version(s(""), s("^1.16")), out(0, "tool   1.16.2+mac\n", "")),
        (Expect::Outside(s("/a"), vec!["10.1.0.0/16".parse().unwrap()]), json.clone()),
        (Expect::All(vec![Expect::Exit(0), Expect::JsonPresent(s("/s"))]), json.clone()),
        (Expect::Any(vec![Expect::Exit(1), Expect::Exit(0)]), json.clone()),
        (Expect::Not(Box::new(Expect::Exit(1))), json),
    ]
}

#[test]
fn each_want_takes_its_answer() {
    for (want, output) in samples() {
        assert!(want.fits(&Answer::unjudged(&output)), "{want}: {}", want.mismatch(&output));
        assert_eq!(want.mismatch(&output), "matches");
    }
}

#[test]
fn garbage_never_matches_and_never_panics() {
    let deep = "[".repeat(100_000);
    for garbage in ["", "\u{0}\u{fffd}", "{", "null", "[]", "99999999999999999999.1.1", deep.as_str(), "\"é…\""] {
        for exit in [Exit::Code(0), Exit::Code(7), Exit::TimedOut, Exit::Missing, Exit::Signal(9), Exit::Stopped] {
            let output = Output { exit, stdout: s(garbage), stderr: s(garbage), cut: true };
            for (want, _) in samples() {
                let wanted = want.fits(&Answer::unjudged(&output));
                assert!(!wanted || matches!(want, Expect::Not(_) | Expect::Any(_)), "{want} took {garbage:.20}");
                assert!(want.mismatch(&output).len() < 2000);
            }
        }
    }
}

#[test]
fn a_mismatch_is_explained() {
    let check = |want: Expect, output: Output, why: &str| assert_eq!(want.mismatch(&output), why);
    check(Expect::Json(s("/s"), s("Running")), out(0, r#"{"s":"Off"}"#, ""), r#"/s: expected "Running", got "Off""#);
    check(Expect::Json(s("/s"), s("Running")), out(0, r#"{"s":[]}"#, ""), r#"/s: expected "Running", got a list"#);
    check(Expect::JsonPresent(s("/x")), out(0, "{}", ""), "nothing at /x");
    check(Expect::Exit(0), out(1, "", "a\nboom\n\n"), r#"expected exit 0, got exit 1: "boom""#);
    check(Expect::Exit(0), Output::of(Exit::TimedOut), "expected exit 0, got timed out");
    check(Expect::Lines(vec![s("a"), s("b")]), out(0, "a", ""), r#"stdout has no line "b""#);
    check(Expect::Version(s(""), s("^1.16")), out(0, "v1.15.0", ""), "expected a version in ^1.16, got 1.15.0");
    let net = vec!["10.0.0.0/8".parse().unwrap()];
    check(Expect::Outside(s(""), net), out(0, r#"["10.1.0.0/16","1.1.1.1"]"#, ""), ": 10.1.0.0/16 overlaps 10.0.0.0/8");
    check(Expect::Not(Box::new(Expect::Exit(0))), out(0, "", ""), "expected not exit 0");
    let both = Expect::All(vec![Expect::Stdout(s("a")), Expect::Match(s("a"))]);
    check(both, out(1, "", ""), "expected exit 0, got exit 1");
    assert!(Expect::Match(s("(")).mismatch(&out(0, "", "")).starts_with("/(/ is no regular expression"));
}

#[test]
fn builds_of_a_release_count_as_the_release() {
    let range = Expect::Version(s(""), s(">=1.30"));
    for text in ["v1.30.5-dispatcher", "v1.31.0-eks-1a2b3c4", "Client Version: v1.35", "1.30"] {
        assert!(range.fits(&Answer::unjudged(&out(0, text, ""))), "{text}");
    }
    assert!(!range.fits(&Answer::unjudged(&out(0, "v1.29.9", ""))));
    assert!(!Expect::Version(s(""), s(">=1.30.0-rc.2")).fits(&Answer::unjudged(&out(0, "1.30.0-rc.1", ""))));
}

#[test]
fn a_want_prints_as_in_a_plan() {
    let shown = |want: Expect| want.to_string();
    assert_eq!(shown(Expect::Json(s("/a/state"), s("Running"))), r#"/a/state = "Running""#);
    let either = Expect::Any(vec![Expect::Exit(0), Expect::Not(Box::new(Expect::Match(s("x"))))]);
    let all = Expect::All(vec![either, Expect::Version(s(""), s("^3"))]);
    assert_eq!(shown(all), "(exit 0 or not stdout ~ /x/) and version in ^3");
    assert_eq!(shown(Expect::All(vec![])), "anything");
}

#[test]
fn tokens_are_completed_and_stand_for_themselves_in_a_regular_expression() {
    let want = Expect::All(vec![Expect::Match(s("^<fact:ip>$")), Expect::Json(s("/ip"), s("<fact:ip>"))]);
    let done = want.complete(|_| Some(s("10.0.0.1"))).unwrap();
    assert_eq!(*done, Expect::All(vec![Expect::Match(s(r"^10\.0\.0\.1$")), Expect::Json(s("/ip"), s("10.0.0.1"))]));
    let both = Expect::Any(vec![want.clone(), Expect::Not(Box::new(Expect::Stdout(s("<digest:f>"))))]);
    assert_eq!(both.complete(|_| None).unwrap_err(), ["<digest:f>", "<fact:ip>"]);
}

#[test]
fn only_the_newest_revision_counts() {
    let row = |n: u32, rest: &str| format!("ns secret/sh.helm.release.v1.x.v{n} t 1 5m {n} {rest}\n");
    let want = Expect::Newest("ns/x".into(), r"^\d+ deployed x-1\.0 abc ours".into());
    let table = |rows: &[String]| Output { stdout: rows.concat(), ..Output::of(Exit::Code(0)) };
    let so = row(10, "deployed x-1.0 abc 10");
    assert!(want.fits(&Answer::unjudged(&table(&[so.clone(), row(9, "failed x-1.0 abc 9")]))));
    assert!(!want.fits(&Answer::unjudged(&table(&[row(9, "deployed x-1.0 abc 9"), row(10, "failed x-1.0 abc 10")]))));
    assert_eq!(want.mismatch(&table(&[])), "there is no revision of ns/x");
    let by_hand = table(&[so, row(11, "deployed x-1.0 abc 10")]);
    assert!(want.mismatch(&by_hand).starts_with("revision 11 of ns/x is not ours,"));
    assert_eq!(want.to_string(), r"newest revision of ns/x ~ /^\d+ deployed x-1\.0 abc ours/");
}

#[test]
fn each_means_all_and_at_least_one() {
    let want = Expect::JsonEach(s("/pods/*/peers/name=b/nodes"), s("2"));
    let holds = |json: &str| want.fits(&Answer::unjudged(&out(0, json, "")));
    let pod = |b: &str| format!(r#"{{"peers":[{{"name":"a","nodes":9}},{b}]}}"#);
    let good = pod(r#"{"name":"b","nodes":2}"#);
    assert!(holds(&format!(r#"{{"pods":{{"x":{good},"y":{good}}}}}"#)));
    for other in [r#"{"name":"b","nodes":1}"#, r#"{"name":"b"}"#, r#"{"name":"c","nodes":2}"#] {
        assert!(!holds(&format!(r#"{{"pods":{{"x":{good},"y":{}}}}}"#, pod(other))), "{other}");
    }
    for none in [r#"{"pods":{}}"#, r#"{"pods":{"x":null}}"#, "{}"] {
        assert!(!holds(none), "{none}");
    }
}
