//! From machines to a cluster: launch, preparation, certificate authority, init, joins, kubeconfig.

use super::super::cause::Reader;
use super::super::{Expect, Pool, Step, StepKey};
use super::{host, kube_path, launch};
use machines::{Capability, Machine, guest};
use model::fleet::{Cluster, Fleet, Node};
use model::token::{digest, secret};
use render::cloud_init::{BUNDLE, prep_marker};
use render::kubeadm::{ca_hash_fact, token_id, token_secret};
use tool::{Command, Extractor, Limits, builtin, kubectl::Kubectl};

/// All steps of one cluster's nodes. `first` is the launch that downloads the image for all.
pub(super) fn steps(fleet: &Fleet, cluster: &Cluster, first: Option<&StepKey>) -> Vec<Step> {
    let mut steps = vec![join_secret(cluster)];
    for node in &cluster.nodes {
        steps.push(launched(fleet, cluster, node, first));
        steps.push(ssh_reachable(cluster, node));
        steps.push(prepared(fleet, cluster, node));
        steps.push(hosts_entry(cluster, node));
    }
    steps.push(outside_of_ranges(fleet, cluster));
    steps.push(authority(cluster));
    steps.push(initialised(cluster));
    steps.extend(cluster.workers().map(|worker| joined(cluster, worker)));
    steps.push(kubeconfig(cluster));
    steps
}

fn state_is(field: &str, value: &str) -> Expect {
    Expect::Json(format!("/{field}"), value.into())
}

fn ask(cluster: &Cluster, node: &Node) -> Command {
    guest::state(&Machine::of(cluster, node), &cluster.api_name())
}

/// Expects that kubeadm was given the present address, which may change at any boot.
fn address_matches(cluster: &Cluster, node: &Node, fields: &[&str]) -> Expect {
    let address = Machine::of(cluster, node).peer_address();
    Expect::All(fields.iter().map(|field| state_is(field, &address)).collect())
}

fn join_secret(cluster: &Cluster) -> Step {
    let name = token_secret(cluster);
    let title = format!("create the join secret of {}", cluster.name);
    Step::new(StepKey::cluster(&cluster.name, "secrets"), title, builtin::has_secrets(&[&name]), Expect::Exit(0))
        .act([builtin::generate_secret(&name)])
}

fn launched(fleet: &Fleet, cluster: &Cluster, node: &Node, first: Option<&StepKey>) -> Step {
    let vm = Machine::of(cluster, node);
    let id = launch(cluster, node);
    let user_data = format!("{}/{}/cloud-init.yaml", cluster.name, node.name);
    Step::new(id.clone(), format!("launch VM {vm}"), vm.locate(), vm.is_up())
        .needs(host::ids(fleet))
        .after(first.filter(|f| **f != id).cloned())
        .pool(Pool::Launch)
        .fallback(vm.list())
        .remedies(vm.start_remedies())
        .act([vm.launch(fleet, node, &user_data)])
        .undo([vm.delete()])
        .observed(vm.info(), Reader::Machine)
        .limits(Limits::QUICK.minutes(20).settle(300).attempts(3, 5))
        .hint(vm.control_hint())
}

/// A step of its own, because macOS blocks programs from local networks until the user allows them.
fn ssh_reachable(cluster: &Cluster, node: &Node) -> Step {
    let vm = Machine::of(cluster, node);
    let (address, port) = vm.host_endpoint(22);
    Step::new(
        StepKey::node(cluster, node, "reach"),
        format!("check that this machine reaches {vm}"),
        builtin::tcp_connect(&address, port),
        Expect::Exit(0),
    )
    .needs([launch(cluster, node)])
    .poll(120, 5)
    .hint("macOS: allow your terminal in System Settings > Privacy & Security > Local Network")
}

/// The network of the VMs may be there only with the first one; afterwards ranges are in every certificate and manifest.
fn outside_of_ranges(fleet: &Fleet, cluster: &Cluster) -> Step {
    let node = cluster.control_plane();
    let vm = Machine::of(cluster, node);
    let title = format!("compare the address of {vm} with the clusters' ranges");
    let outside = Expect::Outside(vm.address_pointer(), host::ranges(fleet));
    Step::new(StepKey::node(cluster, node, "network"), title, vm.info(), outside)
        .needs([launch(cluster, node)])
        .hint("cargo xtask fleet check")
}

/// Expects the scripts of this checkout; a VM keeps those of its first boot.
fn scripts_are_ours() -> Expect {
    state_is("scripts", &digest(BUNDLE))
}

fn prepared(fleet: &Fleet, cluster: &Cluster, node: &Node) -> Step {
    let vm = Machine::of(cluster, node);
    let marked = state_is("prep", &prep_marker(fleet));
    let first_boot = vm.can(Capability::UserData).then(|| guest::cloud_init(&vm));
    let prepare = first_boot.into_iter().chain([guest::prepare(&vm)]);
    let older = Expect::All(vec![Expect::Exit(0), scripts_are_ours().negated()]);
    // `upgrade` installs kubelets, after their control plane.
    let another = Expect::All(vec![state_is("worker", "joined"), marked.clone().negated()]);
    let want = Expect::All(vec![marked, scripts_are_ours()]);
    Step::new(StepKey::node(cluster, node, "prep"), format!("prepare {vm}"), ask(cluster, node), want)
        .needs([StepKey::node(cluster, node, "reach")])
        .remedy("older scripts", older, [guest::replace_scripts(&vm, BUNDLE)].into_iter().chain(prepare.clone()))
        .remedy("another version", another, [])
        .act(prepare)
        .limits(Limits::QUICK.minutes(25).attempts(3, 10))
        .hint(format!("of another version: cargo xtask upgrade; else: {}", guest::cloud_init_report(&vm)))
}

/// The scripts alone, for any version that the node was prepared with.
pub(crate) fn node_scripts(cluster: &Cluster, node: &Node) -> Step {
    let vm = Machine::of(cluster, node);
    let title = format!("bring the scripts on {vm} up to date");
    Step::new(StepKey::node(cluster, node, "prep"), title, ask(cluster, node), scripts_are_ours())
        .act([guest::replace_scripts(&vm, BUNDLE)])
        .limits(Limits::QUICK.attempts(3, 10))
        .hint(guest::cloud_init_report(&vm).to_string())
}

/// Commands that make or first check a certificate, behind a synchronisation of the clock, which stands still while the
/// host sleeps. A changed address of a server means a new certificate, so it counts as well.
pub(crate) fn clock_synced(vm: &Machine, commands: impl IntoIterator<Item = Command>) -> Vec<Command> {
    let sync = vm.can(Capability::OwnClock).then(|| guest::sync_clock(vm));
    sync.into_iter().chain(commands).collect()
}

fn hosts_entry(cluster: &Cluster, node: &Node) -> Step {
    let vm = Machine::of(cluster, node);
    let control_plane = cluster.control_plane();
    let address = Machine::of(cluster, control_plane).peer_address();
    let api = cluster.api_name();
    let title = format!("set the address of {api} on {vm}");
    Step::new(StepKey::node(cluster, node, "hosts"), title, ask(cluster, node), state_is("api_address", &address))
        .needs([StepKey::node(cluster, node, "prep"), launch(cluster, control_plane)])
        .act(clock_synced(&vm, [guest::hosts(&vm, &address, &api)]))
}

fn init_file(cluster: &Cluster) -> String {
    format!("{}/{}/kubeadm-init.yaml", cluster.name, cluster.control_plane().name)
}

/// A kubeadm command that reads the document of a control plane.
fn by_init_file(cluster: &Cluster, act: Command) -> Vec<Command> {
    let vm = Machine::of(cluster, cluster.control_plane());
    let file = [guest::keep(&vm, guest::INIT, &init_file(cluster)), guest::validate(&vm, guest::INIT)];
    file.into_iter().chain(clock_synced(&vm, [act])).collect()
}

/// The authority comes before the API server, so that workers can pin it and join in parallel (ADR-0010).
fn authority(cluster: &Cluster) -> Step {
    let node = cluster.control_plane();
    let vm = Machine::of(cluster, node);
    let fact = ca_hash_fact(cluster);
    let probe = ask(cluster, node).capture(fact, Extractor::Pointer("/ca_hash".into()));
    let want = Expect::Match(r#""ca_hash":\s*"sha256:[0-9a-f]{64}""#.into());
    Step::new(StepKey::node(cluster, node, "ca"), format!("create the CA of {}", cluster.name), probe, want)
        .needs(["prep", "network"].map(|action| StepKey::node(cluster, node, action)))
        .needs([StepKey::cluster(&cluster.name, "secrets")])
        .act(by_init_file(cluster, guest::make_ca(&vm)))
}

/// Days before their end from which certificates are renewed; kubeadm makes them for a year.
pub const RENEW_DAYS: u64 = 60;
/// Remedies for certificates that have expired or will soon.
pub const EXPIRING: [&str; 2] = ["certificates expire", "kubelet certificate expired"];

/// A kubelet that runs renews its certificate in time. One that was off for long has an expired one and does not start.
fn kubelet_expired() -> Expect {
    state_is("kubelet_days", "0")
}

fn fetch_kubeconfig(cluster: &Cluster) -> [Command; 2] {
    let file = format!("{}/kubeconfig.yaml", cluster.name);
    let vm = Machine::of(cluster, cluster.control_plane());
    let path = kube_path(cluster);
    [guest::credentials(&vm, &cluster.name), builtin::keep(path.trim_start_matches("out/"), &file)]
}

fn initialised(cluster: &Cluster) -> Step {
    let node = cluster.control_plane();
    let vm = Machine::of(cluster, node);
    let init = by_init_file(cluster, guest::init(&vm));
    let again = [guest::reset(&vm)].into_iter().chain(init.clone());
    let up = state_is("control_plane", "up");
    let sealed = state_is("sealed", "true");
    let here = address_matches(cluster, node, &["advertised", "node_ip"]);
    let fresh =
        Expect::All(vec![Expect::JsonAtLeast("/certificates_days".into(), RENEW_DAYS), kubelet_expired().negated()]);
    let want = Expect::All(vec![up.clone(), sealed.clone(), here.clone(), fresh.clone()]);
    let made = Expect::Any(vec![up.clone(), state_is("control_plane", "booting")]);
    let expiring = Expect::All(vec![made.clone(), sealed.clone(), here.clone(), fresh.negated()]);
    let renew = by_init_file(cluster, guest::renew(&vm)).into_iter().chain(fetch_kubeconfig(cluster));
    let moved = Expect::All(vec![made, sealed, here.clone().negated()]);
    let readdress = by_init_file(cluster, guest::readdress(&vm, &vm.peer_address()));
    Step::new(
        StepKey::node(cluster, node, "init"),
        format!("initialise the control plane of {}", cluster.name),
        ask(cluster, node),
        want,
    )
    .needs([StepKey::node(cluster, node, "ca"), StepKey::node(cluster, node, "hosts")])
    .remedy(EXPIRING[0], expiring, renew)
    .remedy("unsealed", Expect::All(vec![up, here]), [guest::mark_init(&vm)])
    .remedy("moved", moved, readdress)
    .remedy("busy", state_is("control_plane", "busy"), [])
    .remedy("booting", state_is("control_plane", "booting"), [])
    .remedy("half done", state_is("control_plane", "partial"), again)
    .act(init)
    .undo([guest::reset(&vm)])
    .limits(Limits::QUICK.minutes(15).settle(300).attempts(3, 5))
    .observed_by_kubelet(&vm)
    .hint(vm.ask(&["sudo", "crictl", "ps", "-a"]).to_string())
}

fn joined(cluster: &Cluster, worker: &Node) -> Step {
    let vm = Machine::of(cluster, worker);
    let control_plane = cluster.control_plane();
    let file = format!("{}/{}/kubeadm-join.yaml", cluster.name, worker.name);
    let join = [
        guest::token(&Machine::of(cluster, control_plane), &token_id(cluster), &secret(&token_secret(cluster))),
        guest::keep(&vm, guest::JOIN, &file),
        guest::validate(&vm, guest::JOIN),
    ];
    let join: Vec<Command> = join.into_iter().chain(clock_synced(&vm, [guest::join(&vm)])).collect();
    let again = [guest::reset(&vm)].into_iter().chain(join.clone());
    let title = format!("join {vm} to {}", cluster.name);
    let (joined, here) = (state_is("worker", "joined"), address_matches(cluster, worker, &["node_ip"]));
    let moved = Expect::All(vec![joined.clone(), here.clone().negated()]);
    let expired = Expect::All(vec![joined.clone(), kubelet_expired()]);
    let want = Expect::All(vec![joined, here, kubelet_expired().negated()]);
    // It has done nothing yet while it looks for the API server, which may take as long as an init.
    let busy = state_is("worker", "busy");
    let left = Expect::All(vec![busy.clone(), Expect::Match(r#""running":\s*"kubeadm join "#.into())]);
    Step::new(StepKey::node(cluster, worker, "join"), title, ask(cluster, worker), want)
        .needs([StepKey::node(cluster, worker, "hosts"), StepKey::node(cluster, control_plane, "ca")])
        .binds_to(StepKey::node(cluster, control_plane, "init"))
        .remedy("left at work by an earlier run, ended", left, [guest::end(&vm)].into_iter().chain(again.clone()))
        .remedy("busy", busy, [])
        .remedy("moved", moved, clock_synced(&vm, [guest::readdress(&vm, &vm.peer_address())]))
        .remedy(EXPIRING[1], expired, again.clone())
        .remedy("half done", state_is("worker", "partial"), again)
        .act(join)
        .undo([guest::reset(&vm)])
        .limits(Limits::QUICK.minutes(20).settle(300).attempts(4, 5))
        .observed_by_kubelet(&vm)
        .hint(guest::kubelet_log(&vm).to_string())
}

fn kubeconfig(cluster: &Cluster) -> Step {
    let node = cluster.control_plane();
    let title = format!("fetch the kubeconfig of {}", cluster.name);
    let ask = Kubectl::on(&kube_path(cluster)).ready();
    let fetch = fetch_kubeconfig(cluster);
    Step::new(StepKey::cluster(&cluster.name, "kubeconfig"), title, ask, Expect::Stdout("ok".into()))
        .needs([StepKey::node(cluster, node, "init")])
        // The API server answers on its node: what is unreachable from here is what an old kubeconfig names.
        .remedy("unreachable", Expect::Unanswered, fetch.clone())
        .act(fetch)
        .limits(Limits::QUICK.settle(30))
}
