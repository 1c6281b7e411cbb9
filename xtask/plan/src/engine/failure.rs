//! Failures: the command as it ran, its answer without what must not be seen, and the reason in words.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use model::token::{self, Token};
use tool::expect::ending;
use tool::{Command, Exit, Output, Stdin};

use super::task::{Stage, Task};

/// The command with the facts in it, as a person would paste it; secrets and digests stay names.
pub(super) fn shown<'a>(command: &'a Command, facts: &BTreeMap<String, String>) -> Cow<'a, Command> {
    if !command.texts().any(token::may_hold) {
        return Cow::Borrowed(command);
    }
    let fill = |text: &str| {
        let value = |t: Token<'_>| match t {
            Token::Fact(name) => facts.get(name).cloned().or_else(|| Some(token::fact(name))),
            Token::Secret(name) => Some(token::secret(name)),
            Token::Digest(file) => Some(token::digest(file)),
        };
        token::complete(text, value).unwrap_or_else(|_| text.to_owned())
    };
    let stdin = match &command.stdin {
        Stdin::Text(text) => Stdin::Text(fill(text)),
        other => other.clone(),
    };
    let env = command.env.iter().map(|(name, value)| (name.clone(), fill(value))).collect();
    let args = command.args.iter().map(|arg| fill(arg)).collect();
    Cow::Owned(Command { args, stdin, env, ..command.clone() })
}

/// The output as it may leave the engine.
pub(super) fn redacted(command: &Command, output: Output) -> Output {
    if command.sensitive() { Output { stdout: String::new(), ..output } } else { output }
}

/// How a command ended, in words: `exit 1`, `timed out after 10m`.
pub(super) fn end(task: &Task<'_>, output: &Output) -> String {
    match output.exit {
        _ if task.stage == Stage::Lost => format!("it does not end and cannot be killed, after {}", spell(task.limit)),
        Exit::TimedOut => format!("timed out after {}", spell(task.limit)),
        ref exit => ending(exit),
    }
}

/// A duration as we write it: `850ms`, `41s`, `6m 12s`.
fn spell(time: Duration) -> String {
    let (minutes, seconds) = (time.as_secs() / 60, time.as_secs() % 60);
    match (minutes, seconds) {
        (0, 0) => format!("{}ms", time.as_millis()),
        (0, _) => format!("{seconds}s"),
        (_, 0) => format!("{minutes}m"),
        _ => format!("{minutes}m {seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spelled_as_people_do() {
        let spelled = [850, 41_000, 600_000, 372_000].map(|ms| spell(Duration::from_millis(ms)));
        assert_eq!(spelled, ["850ms", "41s", "10m", "6m 12s"]);
    }
}
