//! Exit codes of commands in a guest. `multipass exec` takes 4 for its own `ReturnCode::Retry` and runs the command
//! again, for ever (1.16.3), so a guest's 4 travels as 104.

use super::{Exit, Output, Tool};

/// Runs its arguments and ends as they do, but with 104 for 4.
pub const SCRIPT: &str = r#""$@"; c=$?; [ $c -ne 4 ] || c=104; exit $c"#;
const WRAPPER: [&str; 4] = ["sh", "-c", SCRIPT, "sh"];

/// The arguments with which a process is started, given those of its command; none if they are the same.
pub fn wrap(tool: Tool, args: &[String]) -> Option<Vec<String>> {
    let exec = tool == Tool::Multipass && args.first().is_some_and(|arg| arg == "exec");
    let at = args.iter().position(|arg| arg == "--").filter(|_| exec)?;
    let (options, command) = args.split_at(at + 1);
    Some(options.iter().cloned().chain(WRAPPER.map(str::to_owned)).chain(command.iter().cloned()).collect())
}

/// The command of a guest without the wrapper, and whether it had one.
pub fn unwrap(command: &[String]) -> (&[String], bool) {
    let wrapped = command.len() > WRAPPER.len() && command.iter().zip(WRAPPER).all(|(word, expected)| word == expected);
    (if wrapped { &command[WRAPPER.len()..] } else { command }, wrapped)
}

/// The output with the guest's own exit code.
pub fn restore(output: Output) -> Output {
    match output.exit {
        Exit::Code(104) => Output { exit: Exit::Code(4), ..output },
        _ => output,
    }
}
