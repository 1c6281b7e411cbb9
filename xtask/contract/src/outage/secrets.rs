//! C3: the Secret stays as it is while nobody can be asked, pods that mount it start, and afterwards it is fresh again.
//! Knows nothing of what is in it.

use super::super::{Clause, Finding};
use super::Court;

fn breach(court: &Court<'_>, rule: &str, key: &str, want: &str, got: String) -> Finding {
    let hint = court.look("--namespace sample describe externalsecrets,secrets");
    court.breach((Clause::C3, rule), key, "Secret/sample-credentials", [want.into(), got, hint])
}

pub(super) fn unready(court: &Court<'_>) -> Option<Finding> {
    let before = &court.app.before;
    let fresh = before.store.as_deref().is_some_and(|said| said.ends_with(" True"));
    let got = match (&before.secret, fresh) {
        (Some(_), true) => return None,
        (None, _) => "it is not there before the drill",
        (_, false) => "it is not kept fresh before the drill",
    };
    Some(breach(court, "fresh", "refreshInterval", "a Secret, copied from Vault", got.to_owned()))
}

pub(super) fn judge(court: &Court<'_>) -> Vec<Finding> {
    let app = court.app;
    let kept = match (&app.before.secret, &app.during.secret) {
        (Some(before), Some(during)) if before == during => None,
        (_, None) => Some("it is gone".to_owned()),
        _ => Some("it was changed".to_owned()),
    };
    let want = "the same Secret while the platform is away";
    let kept = kept.map(|got| breach(court, "kept", "deletionPolicy", want, got));
    let mounted = court.failure("late-runs").or_else(|| court.failure("late")).map(|why| {
        let want = "a pod that mounts it starts while the platform is away";
        breach(court, "mounted", "deletionPolicy", want, format!("it does not: {why}"))
    });
    let fresh = court.failure("refreshed").map(|why| {
        breach(court, "fresh", "refreshInterval", "read from Vault again after the return", format!("it is not: {why}"))
    });
    kept.into_iter().chain(mounted).chain(fresh).collect()
}
