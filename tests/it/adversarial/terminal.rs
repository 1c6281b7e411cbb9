//! The binary on a pseudoterminal: hangup, Ctrl-C, narrow and resized windows.
#![expect(clippy::disallowed_methods, reason = "looks at the processes of a session")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::fake_tools::machine::FakeMachine;
use crate::terminal::Terminal;

/// Long enough for a busy machine; no test waits this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(120);
/// As far as there is something to see and to end.
const LINE: &str = "bootstrap --until */launch";
/// A launch takes long enough for somebody to see it.
const SLOW: u32 = 60;
/// A launch then takes longer than any test.
const LIFELIKE: u32 = 4;

/// Processes of a session and their states, as Linux tells them; elsewhere the fake tools that still run must do.
fn session(machine: &FakeMachine, leader: u64) -> Vec<(PathBuf, String)> {
    let mut found: Vec<_> = machine.running().iter().map(|pid| (format!("{pid}").into(), "R".to_owned())).collect();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // Behind the name, which may have anything in it: state, parent, group, session.
        let words: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        if words.get(3).is_some_and(|word| *word == leader.to_string()) {
            found.push((entry.path(), words[0].to_owned()));
        }
    }
    found
}

/// Waits until only zombies of a session are left.
fn all_gone(machine: &FakeMachine, leader: u64) {
    let end = Instant::now() + PATIENCE;
    let living = || session(machine, leader).into_iter().filter(|(_, state)| state != "Z").collect::<Vec<_>>();
    while !living().is_empty() {
        assert!(Instant::now() < end, "still there: {:?}", living());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ends_interrupted_and_goes_on(machine: &FakeMachine) {
    let journal = machine.text("out/journal.jsonl");
    let last = journal.strip_suffix('\n').and_then(|text| text.lines().last()).unwrap_or_default();
    assert!(last.ends_with(r#""event":"run-ended","ok":false,"interrupted":true}"#), "{journal}");
    assert_eq!(machine.below("out/tmp"), [""; 0], "nothing is half written");
    machine.must(LINE);
    let launches: Vec<u32> = machine.page().stage.launches().values().copied().collect();
    assert_eq!(launches, [1; 6], "no VM is made twice");
}

fn no_tool_was_killed(machine: &FakeMachine) {
    for log in machine.below("out/logs") {
        let text = machine.text(log.as_str());
        assert!(!text.contains("signal "), "{log}: {text}");
    }
}

/// The cursor is where a prompt would go, nothing is drawn any more, and the line is set as it was.
fn is_left_sane(terminal: &mut Terminal, line: &str) {
    let screen = terminal.screen();
    assert!(!screen.hide_cursor() && !screen.alternate_screen(), "as it was");
    assert_eq!(screen.cursor_position().1, 0, "no half line: {}", screen.contents());
    let past = terminal.past();
    assert!(!past.contains("[="), "a bar is left: {past}");
    assert_eq!(format!("{:?}", terminal.line()), line);
}

fn check_hangup(open: impl FnOnce(&FakeMachine) -> Terminal, code: Option<i32>) {
    let machine = FakeMachine::fetched();
    let mut terminal = open(&machine);
    terminal.until_shown("launch VM mgmt-cp");
    // Until it has its own process group, a child that was just forked gets the terminal's SIGHUP, too.
    machine.until_asked("launch");
    terminal.close();
    let ended = terminal.end().code();
    assert!(code.is_none() || ended == code, "{ended:?}");
    all_gone(&machine, terminal.pid());
    no_tool_was_killed(&machine);
    ends_interrupted_and_goes_on(&machine);
}

#[test]
fn closing_the_terminal_ends_like_ctrl_c() {
    check_hangup(|machine| machine.on_terminal(LINE, SLOW, 100, 30), Some(130));
}

/// The kernel sends SIGHUP, and again when the shell in between has died of it.
#[test]
fn closing_the_terminal_of_a_shell_ends_like_ctrl_c() {
    check_hangup(|machine| machine.in_shell(LINE, SLOW), None);
}

#[test]
fn one_ctrl_c_lets_tools_end_and_restores_the_terminal() {
    let machine = FakeMachine::fetched();
    let mut terminal = machine.on_terminal(LINE, SLOW, 100, 30);
    let line = format!("{:?}", terminal.line());
    terminal.until_shown("launch VM mgmt-cp");
    terminal.press("\u{3}");
    assert_eq!(terminal.end().code(), Some(130));
    assert!(terminal.past().contains("to continue: cargo xtask bootstrap --until"), "{}", terminal.past());
    is_left_sane(&mut terminal, &line);
    all_gone(&machine, terminal.pid());
    no_tool_was_killed(&machine);
    ends_interrupted_and_goes_on(&machine);
}

#[test]
fn second_ctrl_c_kills_all_tools() {
    let machine = FakeMachine::fetched();
    let mut terminal = machine.on_terminal(LINE, LIFELIKE, 100, 30);
    let line = format!("{:?}", terminal.line());
    terminal.until_shown("launch VM mgmt-cp  ");
    assert!(session(&machine, terminal.pid()).iter().all(|(_, state)| state != "Z"), "who has ended is buried");
    terminal.press("\u{3}");
    terminal.until_shown("Ctrl-C again kills");
    let before = Instant::now();
    terminal.press("\u{3}");
    assert_eq!(terminal.end().code(), Some(130));
    assert!(before.elapsed() < Duration::from_secs(10), "at once: {:?}", before.elapsed());
    is_left_sane(&mut terminal, &line);
    all_gone(&machine, terminal.pid());
    ends_interrupted_and_goes_on(&machine);
}

/// Bars of all clusters in whole lines at the bottom, and below them the time of the run and what runs.
fn is_frame(screen: &vt100::Screen) -> bool {
    let bar = regex::Regex::new(r"^ +(host|mgmt|app1|app2) \[[=> ]{24}\] +\d+/\d+$").unwrap();
    // Rows and not contents: bars fill their lines, which then count as one that was wrapped.
    let lines: Vec<String> = screen.rows(0, screen.size().1).map(|row| row.trim_end().to_owned()).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.is_empty()).collect();
    let first = lines.iter().position(|line| bar.is_match(line)).unwrap_or(lines.len());
    let (bars, rows) = lines[first..].split_at_checked(4).unwrap_or_default();
    let indented = |line: &&str| line.starts_with("             ");
    let [time, rows @ ..] = rows else { return false };
    bars.iter().all(|line| bar.is_match(line))
        && time.starts_with("        time ")
        && !rows.is_empty()
        && rows.iter().all(indented)
}

#[test]
fn live_screen_has_whole_lines_and_is_cleared() {
    let machine = FakeMachine::fetched();
    let mut terminal = machine.on_terminal(LINE, SLOW, 100, 30);
    let line = format!("{:?}", terminal.line());
    terminal.until(is_frame);
    terminal.until_shown("Done mgmt/cp/launch in ");
    terminal.until(is_frame);
    assert_eq!(terminal.end().code(), Some(0));
    is_left_sane(&mut terminal, &line);
    let past = terminal.past();
    assert!(past.contains("    Finished bootstrap in ") && !past.contains("instance \""), "{past}");
    assert!(!past.contains("\n\n\n"), "no hole is left where something was drawn: {past}");
}

#[test]
fn narrow_and_resized_terminals_are_restored() {
    let check = |(columns, then)| {
        let machine = FakeMachine::fetched();
        let mut terminal = machine.on_terminal(LINE, SLOW, columns, 24);
        let line = format!("{:?}", terminal.line());
        terminal.until_shown("        mgmt [");
        terminal.resize(then, 24);
        terminal.until_shown("Done mgmt/cp/launch");
        assert_eq!(terminal.end().code(), Some(0), "{columns} columns: {}", terminal.past());
        is_left_sane(&mut terminal, &line);
        assert!(terminal.screen().contents().contains("    Finished bootstrap in "), "{}", terminal.past());
    };
    std::thread::scope(|scope| {
        let sizes = [(20, 20), (100, 45), (45, 120)].map(|sizes| scope.spawn(move || check(sizes)));
        sizes.into_iter().for_each(|size| size.join().unwrap());
    });
}

#[test]
fn destroy_asks_on_a_terminal_and_deletes_only_after_yes() {
    let machine = FakeMachine::patient();
    machine.must(LINE);
    for (keys, code) in [("\u{3}", 130), ("y\n", 2), ("\n", 2), ("\u{4}", 2), ("yes\n", 0)] {
        let mut terminal = machine.on_terminal("destroy", 2000, 100, 30);
        let line = format!("{:?}", terminal.line());
        terminal.until_shown("Type yes:");
        assert!(
            terminal.screen().contents().contains("Deletes mgmt-cp, running at 192.168.252."),
            "{}",
            terminal.past()
        );
        terminal.press(keys);
        assert_eq!(terminal.end().code(), Some(code), "{keys:?}: {}", terminal.past());
        is_left_sane(&mut terminal, &line);
        assert_eq!(terminal.past().contains("Finished destroy in "), code == 0, "{}", terminal.past());
    }
    assert!(machine.end().as_object().is_some_and(serde_json::Map::is_empty), "{}", machine.end());
}
