//! How a client reaches an API server of the embedded world: kubeconfig, address, certificates; and how it fails.
//! Knows nothing of what is asked there.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::super::ask::{self, Disk, refused};
use super::super::clockwork;
use super::super::kubeadm::NOT_YET;
use super::super::pki;
use super::super::stage::Stage;
use super::super::yaml::{self, text};
use tool::Output;

/// Why an API server was not reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// The configuration is wrong; what kubectl says.
    Config(String),
    /// Nobody is at that address.
    NoRoute(String),
    /// The machine is there, the API server is not.
    Refused(String),
    /// It is another cluster than the certificates are for.
    Tls(String),
    /// It does not know the client's certificate.
    Unauthorized,
}

impl Closed {
    /// As kubectl says it (measured with v1.35.2).
    pub fn by_kubectl(&self) -> Output {
        refused(
            1,
            match self {
                Closed::Config(why) => format!("error: {why}"),
                Closed::NoRoute(at) => format!("Unable to connect to the server: dial tcp {at}: i/o timeout"),
                Closed::Refused(at) => {
                    format!("The connection to the server {at} was refused - did you specify the right host or port?")
                }
                Closed::Tls(why) => {
                    format!("Unable to connect to the server: tls: failed to verify certificate: {why}")
                }
                Closed::Unauthorized => "error: You must be logged in to the server (Unauthorized)".into(),
            },
        )
    }

    /// As Helm says it (measured; Helm 3 begins with a capital).
    pub fn by_helm(&self, three: bool) -> Output {
        let get = |at: &str, why: &str| format!("Get \"https://{at}/version\": {why}");
        let why = match self {
            Closed::Config(why) => why.clone(),
            Closed::NoRoute(at) => get(at, &format!("dial tcp {at}: i/o timeout")),
            Closed::Refused(at) => get(at, &format!("dial tcp {at}: connect: connection refused")),
            Closed::Tls(why) => format!("tls: failed to verify certificate: {why}"),
            Closed::Unauthorized => "the server has asked for the client to provide credentials".into(),
        };
        let k = if three { 'K' } else { 'k' };
        refused(1, format!("Error: {k}ubernetes cluster unreachable: {why}"))
    }
}

/// Kubeconfigs remembered before all are forgotten: a fleet has one for each cluster and one for all.
const REMEMBERED: usize = 64;

/// A context of a kubeconfig, read.
struct Way {
    server: String,
    host: String,
    /// Nothing if the host is a name.
    address: Option<Ipv4Addr>,
    port: String,
    /// What the server's certificate must be valid for, if that is not its address.
    name: Option<String>,
    /// The authority that it trusts.
    authority: Option<String>,
    /// The authority that signed the client's certificate.
    signer: Option<String>,
}

/// A file, a context in it, and where that leads.
type Known = (Rc<Vec<u8>>, Option<String>, Rc<Way>);

thread_local! {
    /// Every question of kubectl and Helm begins with the same few files.
    static WAYS: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
}

/// The VM whose API server a kubeconfig leads to.
///
/// # Errors
/// Why there is none.
pub fn reach(
    stage: &Stage,
    path: &str,
    context: Option<&str>,
    now: Duration,
    disk: &dyn Disk,
) -> Result<String, Closed> {
    let missing = || Closed::Config(format!("stat {path}: no such file or directory"));
    let way = way(path, disk.read(path).ok_or_else(missing)?, context)?;
    let vm = listening(stage, &way, now)?;
    trusted(stage, &vm, &way)?;
    if stage.cluster(&vm).is_some_and(|known| stage.clock(now) + clockwork::BACKDATE < known.born) {
        return Err(Closed::Tls(NOT_YET.into()));
    }
    Ok(vm)
}

fn way(path: &str, bytes: Rc<Vec<u8>>, context: Option<&str>) -> Result<Rc<Way>, Closed> {
    WAYS.with_borrow_mut(|ways| {
        let same =
            |(file, within, _): &&Known| within.as_deref() == context && (Rc::ptr_eq(file, &bytes) || *file == bytes);
        if let Some((_, _, way)) = ways.iter().find(same) {
            return Ok(way.clone());
        }
        if ways.len() >= REMEMBERED {
            ways.clear();
        }
        // What is wrong is said with the name of the file, which is no part of what is remembered.
        let way = read(path, &bytes, context).map(Rc::new).map_err(Closed::Config)?;
        ways.push((bytes, context.map(str::to_owned), way.clone()));
        Ok(way)
    })
}

fn read(path: &str, bytes: &[u8], context: Option<&str>) -> Result<Way, String> {
    let documents = yaml::documents(&ask::text(bytes));
    let documents = documents.map_err(|why| format!("error loading config file \"{path}\": {why}"))?;
    let file = documents.first().map_or(&Value::Null, |file| file);
    let context = context.unwrap_or_else(|| text(file, "/current-context"));
    let chosen = named(file, "contexts", context);
    let chosen = chosen.ok_or_else(|| format!("context \"{context}\" does not exist"))?;
    let cluster = named(file, "clusters", text(chosen, "/context/cluster"));
    let user = named(file, "users", text(chosen, "/context/user"));
    let (Some(cluster), Some(user)) = (cluster, user) else {
        return Err(format!("context was not found for specified context: {context}"));
    };
    let server = text(cluster, "/cluster/server").trim_start_matches("https://");
    let (host, port) = server.split_once(':').unwrap_or((server, "443"));
    Ok(Way {
        server: server.to_owned(),
        host: host.to_owned(),
        address: host.parse().ok(),
        port: port.to_owned(),
        name: cluster["cluster"]["tls-server-name"].as_str().map(str::to_owned),
        authority: pki::authority_in(text(cluster, "/cluster/certificate-authority-data")),
        signer: pki::signer_in(text(user, "/user/client-certificate-data")),
    })
}

fn named<'a>(file: &'a Value, list: &str, name: &str) -> Option<&'a Value> {
    file[list].as_array()?.iter().find(|entry| text(entry, "/name") == name)
}

fn listening(stage: &Stage, way: &Way, now: Duration) -> Result<String, Closed> {
    let Some(address) = way.address else {
        // The names of our API servers are in the nodes' hosts files, not in this machine's.
        return Err(Closed::NoRoute(format!("lookup {}: no such host", way.host)));
    };
    let there = stage.at(address).filter(|(_, vm)| vm.reachable(now));
    let (vm, _) = there.ok_or_else(|| Closed::NoRoute(way.server.clone()))?;
    if way.port != "6443" || !stage.api_up(vm, now) {
        return Err(Closed::Refused(way.server.clone()));
    }
    Ok(vm.clone())
}

fn trusted(stage: &Stage, vm: &str, way: &Way) -> Result<(), Closed> {
    let Some(known) = stage.cluster(vm) else { return Err(Closed::Refused(way.server.clone())) };
    if way.authority.as_ref() != Some(&known.ca) {
        return Err(Closed::Tls("x509: certificate signed by unknown authority".into()));
    }
    let name = way.name.as_ref().unwrap_or(&way.host);
    if !known.sans.iter().any(|san| san == name) {
        let valid = known.sans.join(", ");
        return Err(Closed::Tls(format!("x509: certificate is valid for {valid}, not {name}")));
    }
    if way.signer.as_ref() == Some(&known.ca) { Ok(()) } else { Err(Closed::Unauthorized) }
}
