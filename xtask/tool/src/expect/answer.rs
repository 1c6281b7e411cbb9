//! An answer that many wants are asked about.

use std::cell::OnceCell;

use serde_json::Value;

use super::is_exit;
use crate::Output;
use crate::reading::json;

/// An answer that several wants are asked about: it is read as JSON once.
#[derive(Debug)]
pub struct Answer<'a> {
    pub(super) output: &'a Output,
    json: OnceCell<Result<Value, String>>,
}

impl<'a> Answer<'a> {
    /// What a command said.
    pub fn of(output: &'a Output) -> Self {
        Answer { output, json: OnceCell::new() }
    }

    /// Its one document, if the command ended well.
    pub(super) fn document(&self) -> Result<&Value, String> {
        is_exit(self.output, 0)?;
        self.json.get_or_init(|| json(&self.output.stdout)).as_ref().map_err(Clone::clone)
    }

    /// What stands at the pointer, if that is not null.
    pub(super) fn at(&self, pointer: &str) -> Result<&Value, String> {
        match self.document()?.pointer(pointer) {
            Some(value) if !value.is_null() => Ok(value),
            _ => Err(format!("there is nothing at {pointer}")),
        }
    }
}
