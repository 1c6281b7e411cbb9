//! The one test binary: every test that looks at more than one module of `xtask`.
//! Knows nothing of how a module does its work, only of what it promises.

mod standin;
