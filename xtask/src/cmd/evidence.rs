//! `evidence verify`: whether a report still says what the repository says, and was not changed since.
//! Knows nothing of how a verdict is come to.

use serde_json::Value;

use super::exit::{DONE, Ended, REFUSED, Stop, WRONG};
use super::verify_contract::drilled;
use super::{Session, load, show};
use crate::contract::{self, Evidence};
use crate::problem::Problem;
use crate::ui::shell::Tone;
use crate::ui::verdict::Excused;
use crate::workspace::sha256_of;

/// Verifies a folder; the newest one if none is named.
///
/// # Errors
/// There is no report, or the input is wrong.
pub fn verify(session: &mut Session, folder: Option<&str>) -> Ended {
    let newest = session.space.reports().pop();
    let Some(name) = folder.map(str::to_owned).or(newest) else {
        let hint = "cargo xtask verify-contract --rehearse --drill mgmt-outage";
        let what = format!("there is no report in {}/reports", session.out());
        return Err(Stop::one(WRONG, Problem::new(what).hint(hint)));
    };
    let folder = session.space.out().join("reports").join(&name);
    let read = |file: &str| session.space.read(&folder.join(file)).map_err(Stop::with(WRONG));
    let (text, page, sums) = (read("report.json")?, read("report.html")?, read("SHA256SUMS")?);
    let shown = session.space.shown(&folder).to_owned();
    let mut wrong = changed(&shown, &sums, &[("report.json", &text), ("report.html", &page)]);
    let record: Value = serde_json::from_str(&text).map_err(|e| {
        Stop::one(WRONG, Problem::new(format!("no JSON: {e}")).at(format!("{shown}/report.json"), None))
    })?;
    wrong.extend(differs(session, &shown, &record)?);
    if wrong.is_empty() {
        session.shell.status(Tone::Good, "Verified", &format!("{shown}: digests and verdicts are as today's"));
        return Ok(DONE);
    }
    show(session, &wrong);
    Ok(REFUSED)
}

/// Files whose digest is not the one that was written beside them.
fn changed(folder: &str, sums: &str, files: &[(&str, &str)]) -> Vec<Problem> {
    let known = |name: &str, text: &str| sums.lines().any(|l| l == format!("{}  {name}", sha256_of(text.as_bytes())));
    let wrong = files.iter().filter(|(name, text)| !known(name, text));
    let say = |(name, _): &(&str, &str)| {
        Problem::new("a report was changed after it was written").at(format!("{folder}/{name}"), None)
    };
    wrong.map(say).collect()
}

/// What the same data give today: every file whose digest differs, and every verdict.
fn differs(session: &Session, folder: &str, record: &Value) -> Result<Vec<Problem>, Stop> {
    let inputs = load::inputs(session)?;
    let evidence = Evidence::gather(&inputs.fleet, &inputs.releases, &inputs.data, &inputs.files);
    let evidence = evidence.map_err(Stop::all(WRONG))?;
    let report = contract::check(&evidence);
    let drill = drilled::play(&evidence, &report)?;
    let today = drilled::record(&inputs, &report, &Excused::new(), &drill, ("", session.flags.rehearse));
    let at = format!("{folder}/report.json");
    let mut wrong = Vec::new();
    let digests = |record: &Value| record["digests"]["data"].as_object().cloned().unwrap_or_default();
    let (then, now) = (digests(record), digests(&today));
    for file in then.keys().chain(now.keys()).collect::<std::collections::BTreeSet<_>>() {
        if then.get(file) != now.get(file) {
            wrong.push(Problem::new("a file is not the one that was reported on").at(file.as_str(), None));
        }
    }
    if record["digests"]["plan"] != today["digests"]["plan"] {
        wrong.push(Problem::new("the plan is not the one that was reported on").at(&at, None));
    }
    for (i, clause) in today["contract"]["clauses"].as_array().into_iter().flatten().enumerate() {
        let then = &record["contract"]["clauses"][i];
        if then["findings"] != clause["findings"] || then["figures"] != clause["figures"] {
            let name = clause["clause"].as_str().unwrap_or_default();
            wrong.push(Problem::new(format!("the verdict on {name} is another one today")).at(&at, None));
        }
    }
    if record["drill"] != today["drill"] {
        wrong.push(Problem::new("the drill comes to something else today").at(&at, None));
    }
    Ok(wrong)
}
