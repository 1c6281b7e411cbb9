//! What a probe's answer says about its step. Pure: an answer and known values in, a verdict out.
//! Knows nothing of states, attempts or time.

use crate::{Step, Want};
use model::token::Token;
use tool::expect::Answer;
use tool::{Command, Exit, Learn, Output};

/// What an answer says.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is so, and this is what the answer teaches.
    Yes(Vec<(Learn, String)>),
    /// It is so, but the answer lacks a value that is to be read from it: it must come yet.
    Unread(Vec<String>),
    /// It is not so; the place of the case in `instead` that it is.
    No(Option<usize>),
    /// There was no answer (the probe was ended), and no case for that. "I cannot tell" is not "no": nothing is done.
    Silent,
    /// The tool is not there, and no case is for that; asking again will not help.
    Missing,
    /// The wants name values that nobody knows.
    Lacking(Vec<String>),
}

/// Judges an answer; `value` knows the facts and digests.
pub(super) fn judge(step: &Step, output: &Output, mut value: impl FnMut(Token<'_>) -> Option<String>) -> Verdict {
    if output.exit == Exit::Missing {
        // Other wants say nothing of a tool that could not even be asked.
        let place = step.instead.iter().position(|case| case.when == Want::Absent);
        return place.map_or(Verdict::Missing, |place| Verdict::No(Some(place)));
    }
    let answer = Answer::of(output);
    match step.done_when.want.complete(&mut value) {
        Err(lacking) => return Verdict::Lacking(lacking),
        Ok(want) if want.fits(&answer) => {
            let (learnt, unread) = read(&step.done_when.ask, output);
            return if unread.is_empty() { Verdict::Yes(learnt) } else { Verdict::Unread(unread) };
        }
        Ok(_) => {}
    }
    for (place, case) in step.instead.iter().enumerate() {
        match case.when.complete(&mut value) {
            Err(lacking) => return Verdict::Lacking(lacking),
            Ok(when) if when.fits(&answer) => return Verdict::No(Some(place)),
            Ok(_) => {}
        }
    }
    if matches!(output.exit, Exit::Code(_)) { Verdict::No(None) } else { Verdict::Silent }
}

/// What a command's answer teaches, and the names that it should have taught.
pub(super) fn read(command: &Command, output: &Output) -> (Vec<(Learn, String)>, Vec<String>) {
    let mut learnt = Vec::new();
    let mut unread = Vec::new();
    for learn in &command.learn {
        match learn.from.read(output) {
            Some(value) => learnt.push((learn.clone(), value)),
            None => unread.push(learn.name.clone()),
        }
    }
    (learnt, unread)
}

/// Why the answer is not the one wanted, without a word of it where it must not be seen.
pub(super) fn explain(step: &Step, output: &Output, value: impl FnMut(Token<'_>) -> Option<String>) -> String {
    let want = &step.done_when.want;
    match want.complete(value) {
        _ if step.done_when.ask.hushed() => format!("want {want}; the answer is secret"),
        Ok(want) => want.explain(output),
        Err(lacking) => format!("nobody knows {}", lacking.join(", ")),
    }
}
