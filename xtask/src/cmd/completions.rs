//! `completions <shell>` prints a script that completes `cargo xtask` and `archipelago`. The script asks the same command
//! what to offer: clusters, releases and steps as they are now.

use clap::{Arg, ArgAction, CommandFactory};

use super::exit::{CmdResult, DONE};
use super::{Session, inputs, plan};
use crate::cli::{Cli, CompletedShell};
use ::plan::Plan;

/// # Errors
/// None.
pub fn run(session: &mut Session, shell: CompletedShell) -> CmdResult {
    session.shell.result(match shell {
        CompletedShell::Bash => include_str!("completions/bash.sh"),
        CompletedShell::Zsh => include_str!("completions/zsh.sh"),
        CompletedShell::Fish => include_str!("completions/fish.sh"),
    });
    Ok(DONE)
}

/// Prints what the last word can become, one per line. The words are those behind the program's name.
///
/// # Errors
/// None: nothing is offered from input that cannot be read.
pub fn complete(session: &mut Session, words: &[String]) -> CmdResult {
    let (current, before) = words.split_last().map_or(("", &[][..]), |(current, before)| (current.as_str(), before));
    let offers = offers(session, current, before);
    let lines: String = offers.iter().filter(|o| o.starts_with(current)).map(|o| format!("{o}\n")).collect();
    session.shell.result(&lines);
    Ok(DONE)
}

fn offers(session: &Session, current: &str, before: &[String]) -> Vec<String> {
    let mut root = Cli::command();
    root.build();
    let (mut command, mut pending, mut position) = (&root, None, 0);
    for word in before {
        let named = |arg: &&Arg| match word.strip_prefix("--") {
            Some(long) => arg.get_long() == Some(long),
            None => arg.get_short().is_some_and(|short| *word == format!("-{short}")),
        };
        if pending.take().is_some() {
        } else if word.starts_with('-') {
            pending = command.get_arguments().find(named).filter(|arg| arg.get_action().takes_values());
        } else if let Some(sub) = command.find_subcommand(word) {
            (command, position) = (sub, 0);
        } else {
            position += 1;
        }
    }
    let again = |arg: &&Arg| matches!(arg.get_action(), ArgAction::Append);
    let positional = || command.get_positionals().nth(position).or(command.get_positionals().last().filter(again));
    match pending {
        Some(arg) => values(session, command.get_name(), arg),
        None if current.starts_with('-') => {
            let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
            shown.filter_map(|arg| arg.get_long()).map(|long| format!("--{long}")).collect()
        }
        None if command.has_subcommands() => {
            let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
            shown.map(|sub| sub.get_name().to_owned()).collect()
        }
        None => positional().map(|arg| values(session, command.get_name(), arg)).unwrap_or_default(),
    }
}

fn values(session: &Session, command: &str, arg: &Arg) -> Vec<String> {
    let possible = arg.get_possible_values();
    if !possible.is_empty() {
        return possible.iter().map(|value| value.get_name().to_owned()).collect();
    }
    let Ok(inputs) = inputs::load(session) else { return vec![] };
    let charts = inputs.releases.charts.iter();
    match (command, arg.get_id().as_str()) {
        (_, "cluster") => inputs.fleet.clusters.iter().map(|cluster| cluster.name.clone()).collect(),
        (_, "only" | "skip" | "until" | "step") => {
            let clusters = inputs.fleet.clusters.iter().map(|cluster| cluster.name.clone());
            let mut steps: Vec<String> =
                plan::all(&inputs).iter().flat_map(Plan::ids).map(|step| step.to_string()).chain(clusters).collect();
            steps.sort();
            steps.dedup();
            steps
        }
        ("use", "size") => ["16g", "32g", "64g"].map(str::to_owned).to_vec(),
        ("access", "name") => {
            charts.filter(|c| !c.access.is_empty()).map(|chart| chart.placement.name.clone()).collect()
        }
        (_, "release" | "names") => charts.map(|chart| chart.placement.name.clone()).collect(),
        _ => vec![],
    }
}
