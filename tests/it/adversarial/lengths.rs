//! Texts that are too deep or too long are refused within bounds of stack, memory and time.

use model::release;
use model::token;
use model::yaml;
use plan::Expect;
use plan::choose::{Choice, choose};
use plan::journal;
use tool::{Exit, Output};

use super::properties::{check_problems, fleet as read_fleet};
use super::texts::plan;
use crate::golden::{self, FLEET, LIST, known};

#[test]
fn excessive_nesting_is_refused() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(10_000), close.repeat(10_000));
    let known = known();
    for text in [
        format!("a = {}", deep("[", "]")),
        format!("a = {}", deep("{a=", "}")),
        format!("{} = 1", vec!["a"; 10_000].join(".")),
        format!("[{}]", vec!["a"; 10_000].join(".")),
        format!("[[{}]]", vec!["cluster"; 10_000].join(".")),
        format!("[[cluster]]\n{}", "[[cluster.node]]\n".repeat(10_000)),
    ] {
        assert!(read_fleet(&text, &known).is_none());
    }
    let block: String = (0..10_000).map(|depth| format!("{}a:\n", " ".repeat(depth % 3_000))).collect();
    for text in [deep("[", "]"), deep("{a: ", "}"), deep("- ", ""), deep("? ", ""), block] {
        check_problems(&yaml::parse("a.yaml", &text).expect_err("too deep"), "a.yaml", &text);
        // What tools wrote may nest deeper, and is read by the main thread, whose stack is larger than a test's.
        let foreign = move || yaml::foreign("a.yaml", &text).is_err();
        let main = std::thread::Builder::new().stack_size(8 << 20).spawn(foreign).expect("a thread");
        assert!(main.join().expect("no panic"));
    }
    let json = Output { stdout: deep("[", "]"), ..Output::of(Exit::Code(0)) };
    assert!(Expect::JsonPresent("".into()).mismatch(&json).contains("recursion limit"));
    assert!(journal::read(&format!("{}\n", deep("{\"v\":", "}"))).broken > 0);
}

/// "Billion laughs", and one long text repeated 45 000 times.
#[test]
fn exponential_anchors_are_refused() {
    let mut laughs = "a0: &a0 ha\n".to_owned();
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    let mut long = format!("long: &long {}\n", "x".repeat(400_000));
    (0..5_000).for_each(|n| long.push_str(&format!("b{n}: &b{n} y\n")));
    long.push_str(&format!("all: [{}]\n", vec!["*long"; 45_000].join(", ")));
    for text in [laughs, long] {
        check_problems(&yaml::parse("a.yaml", &text).expect_err("it would fill the memory"), "a.yaml", &text);
        assert!(yaml::foreign("a.yaml", &text).is_err());
    }
}

#[test]
fn one_mebibyte_of_input_is_read_or_refused() {
    const MIB: usize = 1 << 20;
    let known = known();
    let (fleet, _) = golden::load(FLEET);
    let fill = |piece: &dyn Fn(usize) -> String| {
        let mut text = String::new();
        (0..)
            .take_while(|n| {
                text.push_str(&piece(*n));
                text.len() < MIB
            })
            .for_each(drop);
        text
    };
    let bare = fill(&|n| format!("a{n} = b\n"));
    assert!(read_fleet(&bare, &known).is_none());
    let clusters = fill(&|n| format!("[[cluster]]\nname = \"c{n}\"\n"));
    assert!(read_fleet(&clusters, &known).is_none());
    let table = |n: usize| {
        format!("[[manifest]]\nname='a{n}'\nclusters=['workload']\nwave=1\nneeds=['a{}']\nfile='x'\n", n + 1)
    };
    check_problems(
        &release::load(LIST, &fill(&table), &fleet).expect_err("the last need is missing"),
        LIST,
        &fill(&table),
    );
    let steps = fill(&|n| journal::line(&journal::Entry::StepStarted { step: format!("s{n}") }));
    let run = journal::Entry::RunStarted { command: "x".into(), plan: "y".into(), at_ms: 1 };
    let open = journal::read(&(journal::line(&run) + &steps)).last.expect("a run").open;
    assert!(open.len() > 10_000 && open[9] == "s9", "{}", open.len());
    for text in ["<".repeat(MIB), "<fact:".repeat(MIB / 6), "<fact:a".repeat(MIB / 7)] {
        assert_eq!(token::complete(&text, |_| None).as_deref(), Ok(text.as_str()));
    }
    let wish = Choice { only: vec!["*".repeat(MIB)], ..Choice::default() };
    assert!(choose(plan(), &wish).is_err());
}
