//! `node-run`: a command that outlives its caller, found and ended by the next one.

use super::Node;

/// systemd with one service: `active` holds its description while it runs. Answers as systemd 257 gave them.
const SYSTEMCTL: &str = r#"
case "$*" in
  'is-active --quiet archipelago-run.service') [ -e $ROOT/active ] || exit 3 ;;
  'show --property ActiveState --value archipelago-run.service')
    if [ -e $ROOT/active ]; then echo active; else echo inactive; fi ;;
  'show --property Description --value archipelago-run.service')
    cat $ROOT/active 2>/dev/null || echo archipelago-run.service ;;
  'stop archipelago-run.service') rm -f $ROOT/active ;;
esac"#;
const SYSTEMD_RUN: &str = r#"while [ "$1" != -- ]; do shift; done; shift; "$@""#;

fn node() -> Option<Node> {
    let node = Node::new()?;
    node.stub("systemctl", SYSTEMCTL);
    node.stub("systemd-run", SYSTEMD_RUN);
    Some(node)
}

#[test]
fn a_command_runs_as_a_service_and_keeps_its_exit_code() {
    let Some(node) = node() else { return };
    let done = node.run("node-run", &["sh", "-c", "echo out; echo err >&2; exit 7"], "");
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (Some(7), "out\n", "err\n"));
    let call = node.calls().pop().expect("a call");
    assert!(call.contains("--wait --pipe --collect") && call.contains("--unit archipelago-run.service"), "{call}");
    assert_eq!(node.run("node-run", &[], "").code, Some(2));
}

#[test]
fn an_earlier_command_is_waited_for() {
    let Some(node) = node() else { return };
    node.write("active", "kubeadm init --config x");
    node.stub("sleep", "rm -f $ROOT/active");
    let done = node.must("node-run", &["true"], "");
    assert_eq!(done.stdout, "node-run: waiting for the end of kubeadm init --config x\n");
    assert!(node.calls().join("\n").contains("sleep 2\n"));
}

#[test]
fn what_is_at_work_is_reported_and_ended() {
    let Some(node) = node() else { return };
    assert_eq!(node.state()["running"], "");
    assert_eq!(node.must("node-run", &["--end"], "").stdout, "", "nothing to end");
    node.write("active", "kubeadm join --config x \"\n");
    assert_eq!(node.state()["running"], "kubeadm join --config x ");
    assert_eq!(node.must("node-run", &["--end"], "").stdout, "node-run: ending kubeadm join --config x \"\n");
    assert_eq!(node.state()["running"], "");
}
