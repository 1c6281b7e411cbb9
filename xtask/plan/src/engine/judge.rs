//! What the output of a probe means for its step.

use crate::{Expect, Remedy, Step};
use model::token::Token;
use tool::expect::Answer;
use tool::{Capture, Command, Exit, Output};

/// What a probe found. On no answer nothing is changed: "cannot tell" is not "differs".
#[derive(Debug)]
pub(super) enum ProbeResult<'a> {
    Matches(Captured),
    /// It is not; the remedy for the state that it is in, if there is one.
    Differs(Option<&'a Remedy>),
    NoAnswer(NoAnswer),
}

#[derive(Debug)]
pub(super) enum NoAnswer {
    /// It did not end by itself, or its output is none: the reason.
    Unanswered(String),
    /// The program is missing, and no remedy is for that: asking again will not help.
    NoProgram,
    /// The step's expectations name values that are not known.
    MissingValues(Vec<String>),
}

#[derive(Debug, Default)]
pub(super) struct Captured {
    pub(super) values: Vec<(Capture, String)>,
    /// Names that the output has no value for.
    pub(super) missing: Vec<String>,
}

/// Judges the output of a question, which is the step's own or its fallback; `value` gives the facts and digests.
pub(super) fn judge<'a>(
    step: &'a Step,
    question: &Command,
    output: &Output,
    mut value: impl FnMut(Token<'_>) -> Option<String>,
) -> ProbeResult<'a> {
    if output.exit == Exit::Missing {
        let remedy = step.remedies.iter().find(|remedy| remedy.when == Expect::Absent);
        return remedy.map_or(ProbeResult::NoAnswer(NoAnswer::NoProgram), |remedy| ProbeResult::Differs(Some(remedy)));
    }
    let wants = std::iter::once(&step.done_when.want).chain(step.remedies.iter().map(|remedy| &remedy.when));
    let answer = match Answer::of(question, output, wants) {
        Ok(answer) => answer,
        Err(why) => return unanswered(step, why),
    };
    let mut fits = |want: &Expect| want.complete(&mut value).map(|want| want.fits(&answer));
    match fits(&step.done_when.want) {
        Err(missing) => return ProbeResult::NoAnswer(NoAnswer::MissingValues(missing)),
        Ok(true) => return ProbeResult::Matches(capture(&step.done_when.ask, output)),
        Ok(false) => {}
    }
    for remedy in &step.remedies {
        match fits(&remedy.when) {
            Err(missing) => return ProbeResult::NoAnswer(NoAnswer::MissingValues(missing)),
            Ok(true) => return ProbeResult::Differs(Some(remedy)),
            Ok(false) => {}
        }
    }
    ProbeResult::Differs(None)
}

/// Only a step that asks for just that draws a conclusion.
fn unanswered(step: &Step, why: String) -> ProbeResult<'_> {
    if step.done_when.want == Expect::Unanswered {
        return ProbeResult::Matches(Captured::default());
    }
    let remedy = step.remedies.iter().find(|remedy| remedy.when == Expect::Unanswered);
    remedy.map_or(ProbeResult::NoAnswer(NoAnswer::Unanswered(why)), |remedy| ProbeResult::Differs(Some(remedy)))
}

pub(super) fn capture(command: &Command, output: &Output) -> Captured {
    let mut captured = Captured::default();
    for capture in &command.captures {
        match capture.from.read(output) {
            Some(value) => captured.values.push((capture.clone(), value)),
            None => captured.missing.push(capture.name.clone()),
        }
    }
    captured
}

/// Why the output does not match; a sensitive output is not quoted.
pub(super) fn explain(step: &Step, output: &Output, value: impl FnMut(Token<'_>) -> Option<String>) -> String {
    let want = &step.done_when.want;
    match want.complete(value) {
        _ if step.done_when.ask.sensitive() => format!("expected {want}; output is redacted"),
        Ok(want) => want.mismatch(output),
        Err(missing) => format!("unresolved values: {}", missing.join(", ")),
    }
}
