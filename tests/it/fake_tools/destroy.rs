//! `destroy` with fake tools: the question it asks, and VMs it refuses.
#![expect(clippy::disallowed_methods, reason = "takes a journal away")]

use super::machine::FakeMachine;

#[test]
fn destroy_asks_and_refuses_unknown_vms() {
    let machine = FakeMachine::new();
    machine.must("bootstrap --until */launch");
    let asked = machine.run("destroy");
    assert_eq!(asked.code, Some(2), "there is no keyboard: {}", asked.err);
    assert!(asked.err.contains("Deletes app1-cp, running at 192.168.252."), "{}", asked.err);
    assert!(asked.err.contains("aborted: not confirmed; nothing was deleted"), "{}", asked.err);
    std::fs::remove_file(machine.root().join("out/journal.jsonl")).expect("a journal");
    let strange = machine.run("destroy --yes");
    assert_eq!(strange.code, Some(2), "{}", strange.err);
    assert!(strange.err.contains("not in the journal: mgmt-cp, mgmt-w1, app1-cp"), "{}", strange.err);
    assert!(strange.err.contains("not created by this workspace"), "{}", strange.err);
    assert_eq!(machine.run("start --only */launch").code, Some(0));
    machine.must("destroy --yes");
    assert!(machine.end().as_object().is_some_and(serde_json::Map::is_empty), "{}", machine.end());
    let again = machine.run("destroy --yes");
    assert_eq!(again.code, Some(0), "without VMs there is no prompt: {}", again.err);
}
