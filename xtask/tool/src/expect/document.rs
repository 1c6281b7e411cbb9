//! An output that many expectations are compared with.

use std::cell::OnceCell;

use serde_json::Value;

use super::{Expect, is_exit};
use crate::extract::json;
use crate::{Command, Output};

/// Parsed as JSON once. Expectations are compared with nothing else, and what is no answer by the rule of its tool does
/// not become one.
#[derive(Debug)]
pub struct Answer<'a> {
    pub(super) output: &'a Output,
    json: OnceCell<Result<Value, String>>,
}

impl<'a> Answer<'a> {
    /// # Errors
    /// Why the output is no answer to the question, or none that these expectations can read.
    pub fn of<'w>(
        question: &Command,
        output: &'a Output,
        wants: impl IntoIterator<Item = &'w Expect>,
    ) -> Result<Self, String> {
        let answer = Answer::unjudged(output);
        let unreadable = || answer.document().err().filter(|_| wants.into_iter().any(Expect::reads_json));
        match output.no_answer(question).or_else(|| output.ok().then(unreadable).flatten()) {
            Some(why) => Err(why),
            None => Ok(answer),
        }
    }

    /// For words about an output alone.
    pub(super) fn unjudged(output: &'a Output) -> Self {
        Answer { output, json: OnceCell::new() }
    }

    /// Its JSON document, if the command succeeded.
    pub fn document(&self) -> Result<&Value, String> {
        is_exit(self.output, 0)?;
        self.json.get_or_init(|| json(&self.output.stdout)).as_ref().map_err(Clone::clone)
    }

    /// The value at the pointer, unless null.
    pub(super) fn at(&self, pointer: &str) -> Result<&Value, String> {
        match self.document()?.pointer(pointer) {
            Some(value) if !value.is_null() => Ok(value),
            _ => Err(format!("nothing at {pointer}")),
        }
    }
}
