//! Names that most modules use.

pub(crate) use std::time::Duration;

pub(crate) use serde_json::{Value, json};

pub(crate) use crate::argv::{Args, Invocation, duration};
pub(crate) use crate::cluster::Cluster;
pub(crate) use crate::request::{Disk, Request, Response, ToolResult, failure, success};
pub(crate) use crate::state::SimState;
pub(crate) use crate::workload::Workload;
pub(crate) use crate::yaml::text;
pub(crate) use crate::{pki, timings};
pub(crate) use tool::Output;
