//! Docker and its compose plug-in, as far as the services outside the clusters need them.

use crate::prelude::*;

/// Services that `up` starts for a profile if it names none.
const DEFAULT: &[&str] = &["nexus"];

pub fn answer(sim: &mut SimState, request: &Request, now: Duration) -> ToolResult<Response> {
    let words: Vec<&str> = request.args.iter().map(String::as_str).collect();
    let compose = match words.as_slice() {
        ["compose", "--file", _, "--profile", _, rest @ ..] | ["compose", "--file", _, rest @ ..] => rest,
        words => words,
    };
    let output = match compose {
        ["version", "--format", "json"] => {
            let version = &sim.machine.tools["docker"];
            format!("{}\n", json!({ "Client": { "Version": version }, "Server": { "Version": version } }))
        }
        ["compose", "version", "--short"] => "2.39.1\n".to_owned(),
        ["ps", "--services", "--status", "running"] => sim.services.iter().map(|s| format!("{s}\n")).collect(),
        ["up", "--detach", "--wait", "--wait-timeout", _, named @ ..] => {
            let end = request.since + timings::COMPOSE;
            if now < end {
                return Ok(Response::Pending(end - now));
            }
            let named = if named.is_empty() { DEFAULT } else { named };
            sim.services.extend(named.iter().map(|s| (*s).to_owned()));
            String::new()
        }
        ["run", "--rm", _] => String::new(),
        ["rm", "--stop", "--force", named @ ..] => {
            sim.services.retain(|s| !named.contains(&s.as_str()));
            String::new()
        }
        _ => {
            let text = format!("unknown docker command: \"docker {}\"", words.join(" "));
            return Err(sim.unsupported(request, failure(1, text)));
        }
    };
    Ok(Response::Done(success(output)))
}
