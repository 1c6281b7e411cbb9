//! `cargo simulate`: `cargo xtask simulate` in the build that tests use, so that CI builds it once.
#![expect(clippy::disallowed_methods, reason = "main hands the process's surroundings down")]

use std::ffi::OsString;
use std::process::ExitCode;

use camino::Utf8PathBuf;
use xtask::cmd::{self, Env};

/// Trials make and drop many small values: a quarter less time than with the allocator of the system.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cwd = std::env::current_dir().ok().and_then(|dir| Utf8PathBuf::from_path_buf(dir).ok()).unwrap_or_default();
    let built = Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let root = exec::workspace::find_root(&[&cwd, &built]).unwrap_or(built);
    let vars = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
    let (out, err) = (Box::new(std::io::stdout()), Box::new(std::io::stderr()));
    let env = Env { cwd, ..Env::new(root, vars, out, err) };
    let args = ["xtask", "simulate"].map(OsString::from).into_iter().chain(std::env::args_os().skip(1));
    ExitCode::from(cmd::run(args, env))
}
