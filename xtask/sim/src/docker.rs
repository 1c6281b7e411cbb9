//! Docker and its compose plug-in, as far as the services outside the clusters need them.
//! Knows nothing of what those services do, or of which there are beyond what a command names.

use std::time::Duration;

use serde_json::json;

use super::ask::{Answer, Ask, refused, said};
use super::clockwork;
use super::stage::Stage;

/// Services that run once `up` has been asked for a profile without naming any.
const DEFAULT: &[&str] = &["nexus"];

/// Answers one command line.
pub fn answer(stage: &mut Stage, ask: &Ask, now: Duration) -> Answer {
    let words: Vec<&str> = ask.args.iter().map(String::as_str).collect();
    let compose = match words.as_slice() {
        ["version", "--format", "json"] => {
            let version = stage.machine.tools["docker"].clone();
            let all = json!({ "Client": { "Version": version }, "Server": { "Version": version } });
            return Answer::Done(said(format!("{all}\n")));
        }
        ["compose", "version", "--short"] => return Answer::Done(said("2.39.1\n")),
        ["compose", "--file", _, "--profile", _, rest @ ..] | ["compose", "--file", _, rest @ ..] => rest.to_vec(),
        _ => vec![],
    };
    match compose.as_slice() {
        ["ps", "--services", "--status", "running"] => {
            Answer::Done(said(stage.services.iter().map(|s| format!("{s}\n")).collect::<String>()))
        }
        ["up", "--detach", "--wait", "--wait-timeout", _, named @ ..] => {
            let end = ask.since + clockwork::COMPOSE;
            if now < end {
                return Answer::Again(end - now);
            }
            let named = if named.is_empty() { DEFAULT } else { named };
            stage.services.extend(named.iter().map(|s| (*s).to_owned()));
            Answer::Done(said(""))
        }
        ["run", "--rm", _] => Answer::Done(said("")),
        ["rm", "--stop", "--force", named @ ..] => {
            stage.services.retain(|s| !named.contains(&s.as_str()));
            Answer::Done(said(""))
        }
        _ => {
            let text = format!("unknown docker command: \"docker {}\"", words.join(" "));
            Answer::Done(stage.strange(ask, refused(1, text)))
        }
    }
}
