//! What the output of a probe means for its step.

use crate::{Case, Step, Want};
use model::token::Token;
use tool::expect::Answer;
use tool::{Command, Exit, Learn, Output};

/// What a probe found. On no answer nothing is changed: "cannot tell" is not "differs".
#[derive(Debug)]
pub(super) enum ProbeResult<'a> {
    /// The step is as expected.
    Matches(Captured),
    /// It is not; the remedy for the state that it is in, if there is one.
    Differs(Option<&'a Case>),
    /// Nothing is known of the step.
    NoAnswer(NoAnswer),
}

/// Why a probe gave no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// It did not end by itself, and there is no remedy for that.
    NotEnded,
    /// The program is missing, and no remedy is for that: asking again will not help.
    NoProgram,
    /// The step's expectations name values that are not known.
    MissingValues(Vec<String>),
}

/// What a command's output teaches.
#[derive(Debug, Default)]
pub(super) struct Captured {
    pub(super) values: Vec<(Learn, String)>,
    /// Names that the output has no value for.
    pub(super) missing: Vec<String>,
}

/// Judges an output; `value` gives the facts and digests.
pub(super) fn judge<'a>(
    step: &'a Step,
    output: &Output,
    mut value: impl FnMut(Token<'_>) -> Option<String>,
) -> ProbeResult<'a> {
    if output.exit == Exit::Missing {
        let remedy = step.instead.iter().find(|case| case.when == Want::Absent);
        return remedy.map_or(ProbeResult::NoAnswer(NoAnswer::NoProgram), |case| ProbeResult::Differs(Some(case)));
    }
    let answer = Answer::of(output);
    let mut fits = |want: &Want| want.complete(&mut value).map(|want| want.fits(&answer));
    match fits(&step.done_when.want) {
        Err(missing) => return ProbeResult::NoAnswer(NoAnswer::MissingValues(missing)),
        Ok(true) => return ProbeResult::Matches(capture(&step.done_when.ask, output)),
        Ok(false) => {}
    }
    for case in &step.instead {
        match fits(&case.when) {
            Err(missing) => return ProbeResult::NoAnswer(NoAnswer::MissingValues(missing)),
            Ok(true) => return ProbeResult::Differs(Some(case)),
            Ok(false) => {}
        }
    }
    match output.exit {
        Exit::Code(_) => ProbeResult::Differs(None),
        _ => ProbeResult::NoAnswer(NoAnswer::NotEnded),
    }
}

pub(super) fn capture(command: &Command, output: &Output) -> Captured {
    let mut captured = Captured::default();
    for learn in &command.learn {
        match learn.from.read(output) {
            Some(value) => captured.values.push((learn.clone(), value)),
            None => captured.missing.push(learn.name.clone()),
        }
    }
    captured
}

/// Why the output does not match, without a word of it where it must not be seen.
pub(super) fn explain(step: &Step, output: &Output, value: impl FnMut(Token<'_>) -> Option<String>) -> String {
    let want = &step.done_when.want;
    match want.complete(value) {
        _ if step.done_when.ask.hushed() => format!("want {want}; the answer is secret"),
        Ok(want) => want.explain(output),
        Err(missing) => format!("nobody knows {}", missing.join(", ")),
    }
}
