//! `destroy` outside of the embedded world: what it shows, whom it asks, and what it takes for its own.
//! Knows nothing of what was installed.
#![expect(clippy::disallowed_methods, reason = "takes a journal away")]

use super::place::Place;

#[test]
fn nothing_is_deleted_unasked_and_nothing_that_nobody_here_has_seen() {
    let place = Place::new();
    let made = place.run("bootstrap --until */launch");
    assert_eq!(made.code, Some(0), "{}", made.err);
    let asked = place.run("destroy");
    assert_eq!(asked.code, Some(2), "there is no keyboard: {}", asked.err);
    assert!(asked.err.contains("Deletes app1-cp, running at 192.168.252."), "{}", asked.err);
    assert!(asked.err.contains("nothing was deleted: nobody said yes"), "{}", asked.err);
    std::fs::remove_file(place.root().join("out/journal.jsonl")).expect("a journal");
    let strange = place.run("destroy --yes");
    assert_eq!(strange.code, Some(2), "{}", strange.err);
    assert!(strange.err.contains("not in the journal: mgmt-cp, mgmt-w1, app1-cp"), "{}", strange.err);
    assert!(strange.err.contains("no run from here has seen it"), "{}", strange.err);
    assert_eq!(place.run("start --only */launch").code, Some(0));
    let gone = place.run("destroy --yes");
    assert_eq!(gone.code, Some(0), "{}", gone.err);
    assert!(place.end().as_object().is_some_and(serde_json::Map::is_empty), "{}", place.end());
    let again = place.run("destroy --yes");
    assert_eq!(again.code, Some(0), "where nothing is, nobody is asked: {}", again.err);
}
