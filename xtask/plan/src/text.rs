//! A plan as text: the dry run, the snapshot and the documentation in one. One flag per line.

use std::fmt::Write;
use std::time::Duration;

use super::{Expect, Plan, Pool, Remedy, Step, StepKey};
use tool::{Command, Limits, Stdin, quoted};

/// Every step of the plan, in order.
pub fn print(plan: &Plan) -> String {
    let steps = match plan.steps.len() {
        1 => "1 step".to_owned(),
        n => format!("{n} steps"),
    };
    let mut out = format!("plan {}: {steps}\n", plan.name);
    for step in &plan.steps {
        out.push('\n');
        out.push_str(&print_step(step));
    }
    out
}

pub fn print_step(step: &Step) -> String {
    let mut out = String::new();
    let pool = match step.pool {
        Pool::Free => String::new(),
        Pool::Launch => "   pool: launch".into(),
        Pool::Pull => "   pool: pull".into(),
    };
    line(&mut out, "", &format!("{}   {}{pool}", step.id, step.title));
    list(&mut out, "needs", &step.needs);
    list(&mut out, "after", &step.after);
    list(&mut out, "ends with", &step.binds_to);
    command(&mut out, "check", &step.done_when.ask);
    if let Some(fallback) = &step.done_when.fallback {
        command(&mut out, "or else", fallback);
    }
    expectations(&mut out, "done when", &step.done_when.want);
    for remedy in &step.remedies {
        print_remedy(&mut out, remedy);
    }
    commands(&mut out, "apply", &step.act);
    commands(&mut out, "undone by", &step.undo);
    line(&mut out, "limits", &limits(&step.limits));
    if let Some(observer) = &step.observer {
        line(&mut out, "observed by", &format!(" $ {}", observer.ask));
    }
    if let Some(hint) = &step.hint {
        line(&mut out, "hint", hint);
    }
    out
}

fn print_remedy(out: &mut String, remedy: &Remedy) {
    expectations(out, &format!("if {}", remedy.name), &remedy.when);
    if remedy.act.is_empty() {
        line(out, "", "    wait");
    } else if !remedy.after.is_zero() {
        line(out, "", &format!("    wait {}, then", short(remedy.after)));
    }
    for act in &remedy.act {
        command(out, "", act);
    }
}

fn commands(out: &mut String, title: &str, commands: &[Command]) {
    let mut title = title;
    for one in commands {
        command(out, title, one);
        title = "";
    }
}

/// Labels stand in a column; a step's first line has none.
fn line(out: &mut String, label: &str, text: &str) {
    let _ = if label.is_empty() && !text.starts_with(' ') {
        writeln!(out, "{}", text.trim_end())
    } else {
        writeln!(out, "  {label:<13}{}", text.trim_end())
    };
}

fn list(out: &mut String, label: &str, ids: &[StepKey]) {
    let mut label = label;
    for id in ids {
        line(out, label, &format!(" {id}"));
        label = "";
    }
}

fn expectations(out: &mut String, label: &str, want: &Expect) {
    let all = match want {
        Expect::All(all) if !all.is_empty() => all.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut label = label;
    for one in all {
        line(out, label, &format!(" {one}"));
        label = "";
    }
}

/// `$ program words`, then a line for each long flag with its value, and one for the words that follow.
/// Single-letter flags belong to the words around them: `exec -n VM`, `install -m 0600`.
fn command(out: &mut String, label: &str, command: &Command) {
    let env = command.env.iter().map(|(k, v)| format!("{k}={} ", quoted(v))).collect::<String>();
    let mut lines = vec![format!("$ {env}{}", command.tool.program())];
    // Words that the line at hand still takes: any number after the program, one after a flag.
    let mut room = usize::MAX;
    for arg in &command.args {
        let flag = arg.starts_with("--") && arg.len() > 2;
        if flag || room == 0 {
            lines.push(format!("    {}", quoted(arg)));
            room = if flag { 1 } else { usize::MAX };
        } else if let Some(last) = lines.last_mut() {
            last.push(' ');
            last.push_str(&quoted(arg));
            room -= 1;
        }
    }
    let mut label = label;
    for (index, text) in lines.iter().enumerate() {
        let more = if index + 1 < lines.len() { " \\" } else { "" };
        line(out, label, &format!(" {text}{more}"));
        label = "";
    }
    details(out, command);
}

fn details(out: &mut String, command: &Command) {
    match &command.stdin {
        Stdin::Closed => {}
        Stdin::File(file) => line(out, "", &format!("     stdin   {file}")),
        Stdin::Text(text) => line(out, "", &format!("     stdin   {text:?}")),
    }
    for capture in &command.captures {
        let kind = if capture.secret { "secret" } else { "fact" };
        line(out, "", &format!("     captures <{kind}:{}>", capture.name));
    }
    if command.ignore_exit {
        line(out, "", "     exit code is ignored");
    }
    if let Some(code) = command.final_exit {
        line(out, "", &format!("     exit {code} is final"));
    }
}

fn limits(limits: &Limits) -> String {
    let Limits { ask, act, attempts, pause, settle } = limits;
    let (ask, act, pause, settle) = (short(*ask), short(*act), short(*pause), short(*settle));
    let times = if *attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts, {pause} apart") };
    format!(" ask {ask}, act {act}, {times}, settles in {settle}")
}

fn short(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds >= 60 && seconds.is_multiple_of(60) { format!("{}m", seconds / 60) } else { format!("{seconds}s") }
}
