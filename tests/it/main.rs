//! The one test binary: every test that looks at more than one module of `xtask`.
//! Knows nothing of how a module does its work, only of what it promises.

mod argv;
mod byhand;
mod captures;
mod charts;
mod contract;
mod daytwo;
mod diff;
mod drill;
mod drive;
mod fleet;
mod folder;
mod golden;
mod hints;
mod host;
mod hostile;
mod install;
mod mesh;
mod node;
mod platform;
mod preflight;
mod prometheus;
mod references;
mod refusals;
mod render;
mod standin;
mod story;
mod terminal;
mod tidy;
mod tool;
mod ui;
mod upgrade;
