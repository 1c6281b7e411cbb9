use super::*;

fn out(code: i32, stdout: &str, stderr: &str) -> Output {
    Output { exit: Exit::Code(code), stdout: stdout.into(), stderr: stderr.into(), cut: false }
}

fn s(text: &str) -> String {
    text.to_owned()
}

/// Every kind of want, each with an answer that it accepts.
fn samples() -> Vec<(Want, Output)> {
    let json = out(0, r#"{"s":"Running","n":7,"t":true,"d":"12","v":"v1.35.7","a":["10.0.0.1","fe80::1"]}"#, "");
    vec![
        (Want::Exit(3), out(3, "", "")),
        (Want::Stdout(s("ok")), out(0, " ok\n", "")),
        (Want::Lines(vec![s("b"), s("a")]), out(0, "a\r\nx\n b\n", "")),
        (Want::Match(s(r"^a\d+$")), out(0, "x\na12\n", "")),
        (Want::Stderr(s("does not exist$")), out(2, "", "info failed: instance \"a\" does not exist\n")),
        (Want::Json(s("/s"), s("Running")), json.clone()),
        (Want::Json(s("/n"), s("7")), json.clone()),
        (Want::Json(s("/t"), s("true")), json.clone()),
        (Want::JsonAtLeast(s("/n"), 7), json.clone()),
        (Want::JsonAtLeast(s("/d"), 12), json.clone()),
        (Want::JsonEach(s("/a/*"), s("x")), out(0, r#"{"a":["x","x"]}"#, "")),
        (Want::JsonPresent(s("/a")), json.clone()),
        (Want::Version(s("/v"), s(">=1.35, <1.36")), json.clone()),
        (Want::Version(s(""), s("^1.16")), out(0, "tool   1.16.2+mac\n", "")),
        (Want::Outside(s("/a"), vec!["10.1.0.0/16".parse().unwrap()]), json.clone()),
        (Want::All(vec![Want::Exit(0), Want::JsonPresent(s("/s"))]), json.clone()),
        (Want::Any(vec![Want::Exit(1), Want::Exit(0)]), json.clone()),
        (Want::Not(Box::new(Want::Exit(1))), json),
    ]
}

#[test]
fn each_want_takes_its_answer() {
    for (want, output) in samples() {
        assert!(want.holds(&output), "{want}: {}", want.explain(&output));
        assert_eq!(want.explain(&output), "it is as wanted");
    }
}

#[test]
fn garbage_is_never_what_was_wanted_and_never_a_panic() {
    let deep = "[".repeat(100_000);
    for garbage in ["", "\u{0}\u{fffd}", "{", "null", "[]", "99999999999999999999.1.1", deep.as_str(), "\"é…\""] {
        for exit in [Exit::Code(0), Exit::Code(7), Exit::TimedOut, Exit::Missing, Exit::Signal(9), Exit::Stopped] {
            let output = Output { exit, stdout: s(garbage), stderr: s(garbage), cut: true };
            for (want, _) in samples() {
                let wanted = want.holds(&output);
                assert!(!wanted || matches!(want, Want::Not(_) | Want::Any(_)), "{want} took {garbage:.20}");
                assert!(want.explain(&output).len() < 2000);
            }
        }
    }
}

#[test]
fn a_want_says_why_not() {
    let check = |want: Want, output: Output, why: &str| assert_eq!(want.explain(&output), why);
    check(Want::Json(s("/s"), s("Running")), out(0, r#"{"s":"Off"}"#, ""), r#"/s: want "Running", got "Off""#);
    check(Want::Json(s("/s"), s("Running")), out(0, r#"{"s":[]}"#, ""), r#"/s: want "Running", got a list"#);
    check(Want::JsonPresent(s("/x")), out(0, "{}", ""), "there is nothing at /x");
    check(Want::Exit(0), out(1, "", "a\nboom\n\n"), r#"want exit 0, got exit 1: "boom""#);
    check(Want::Exit(0), Output::of(Exit::TimedOut), "want exit 0, got timed out");
    check(Want::Lines(vec![s("a"), s("b")]), out(0, "a", ""), r#"stdout has no line "b""#);
    check(Want::Version(s(""), s("^1.16")), out(0, "v1.15.0", ""), "want a version in ^1.16, got 1.15.0");
    let net = vec!["10.0.0.0/8".parse().unwrap()];
    check(Want::Outside(s(""), net), out(0, r#"["10.1.0.0/16","1.1.1.1"]"#, ""), ": 10.1.0.0/16 overlaps 10.0.0.0/8");
    check(Want::Not(Box::new(Want::Exit(0))), out(0, "", ""), "want not exit 0, but it is so");
    let both = Want::All(vec![Want::Stdout(s("a")), Want::Match(s("a"))]);
    check(both, out(1, "", ""), "want exit 0, got exit 1");
    assert!(Want::Match(s("(")).explain(&out(0, "", "")).starts_with("/(/ is no regular expression"));
}

#[test]
fn builds_of_a_release_count_as_the_release() {
    let range = Want::Version(s(""), s(">=1.30"));
    for text in ["v1.30.5-dispatcher", "v1.31.0-eks-1a2b3c4", "Client Version: v1.35", "1.30"] {
        assert!(range.holds(&out(0, text, "")), "{text}");
    }
    assert!(!range.holds(&out(0, "v1.29.9", "")));
    assert!(!Want::Version(s(""), s(">=1.30.0-rc.2")).holds(&out(0, "1.30.0-rc.1", "")));
}

#[test]
fn a_want_prints_as_in_a_plan() {
    let shown = |want: Want| want.to_string();
    assert_eq!(shown(Want::Json(s("/a/state"), s("Running"))), r#"/a/state = "Running""#);
    let either = Want::Any(vec![Want::Exit(0), Want::Not(Box::new(Want::Match(s("x"))))]);
    let all = Want::All(vec![either, Want::Version(s(""), s("^3"))]);
    assert_eq!(shown(all), "(exit 0 or not stdout ~ /x/) and version in ^3");
    assert_eq!(shown(Want::All(vec![])), "anything");
}

#[test]
fn tokens_are_completed_and_stand_for_themselves_in_a_regular_expression() {
    let want = Want::All(vec![Want::Match(s("^<fact:ip>$")), Want::Json(s("/ip"), s("<fact:ip>"))]);
    let done = want.complete(|_| Some(s("10.0.0.1"))).unwrap();
    assert_eq!(*done, Want::All(vec![Want::Match(s(r"^10\.0\.0\.1$")), Want::Json(s("/ip"), s("10.0.0.1"))]));
    let both = Want::Any(vec![want.clone(), Want::Not(Box::new(Want::Stdout(s("<digest:f>"))))]);
    assert_eq!(both.complete(|_| None).unwrap_err(), ["<digest:f>", "<fact:ip>"]);
}

#[test]
fn only_the_newest_revision_counts() {
    let row = |n: u32, rest: &str| format!("ns sh.helm.release.v1.x.v{n} t 1 5m {n} {rest}\n");
    let want = Want::Newest("ns/x".into(), r"^\d+ deployed x-1\.0 abc ours".into());
    let table = |rows: &[String]| Output { stdout: rows.concat(), ..Output::of(Exit::Code(0)) };
    let so = row(10, "deployed x-1.0 abc 10");
    assert!(want.holds(&table(&[so.clone(), row(9, "failed x-1.0 abc 9")])));
    assert!(!want.holds(&table(&[row(9, "deployed x-1.0 abc 9"), row(10, "failed x-1.0 abc 10")])));
    assert_eq!(want.explain(&table(&[])), "there is no revision of ns/x");
    let by_hand = table(&[so, row(11, "deployed x-1.0 abc 10")]);
    assert!(want.explain(&by_hand).starts_with("revision 11 of ns/x is not ours,"));
    assert_eq!(want.to_string(), r"newest revision of ns/x ~ /^\d+ deployed x-1\.0 abc ours/");
}

#[test]
fn each_means_all_and_at_least_one() {
    let want = Want::JsonEach(s("/pods/*/peers/name=b/nodes"), s("2"));
    let holds = |json: &str| want.holds(&out(0, json, ""));
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
