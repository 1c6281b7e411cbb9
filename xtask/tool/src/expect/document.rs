//! An output that many expectations are compared with.

use std::cell::OnceCell;

use serde_json::Value;

use super::is_exit;
use crate::Output;
use crate::extract::json;

/// Parsed as JSON once.
#[derive(Debug)]
pub struct Answer<'a> {
    pub(super) output: &'a Output,
    json: OnceCell<Result<Value, String>>,
}

impl<'a> Answer<'a> {
    pub fn of(output: &'a Output) -> Self {
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
