//! Connecting to a simulated API server: kubeconfig, address, certificates, and the errors.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;

use crate::kubeadm::NOT_YET;
use crate::prelude::*;
use crate::request;
use crate::yaml;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectError {
    /// An invalid kubeconfig, with kubectl's text.
    Config(String),
    NoRoute(String),
    Refused(String),
    Tls(String),
    Unauthorized,
}

impl ConnectError {
    /// Measured with v1.35.2.
    pub fn kubectl_error(&self) -> Output {
        failure(
            1,
            match self {
                ConnectError::Config(why) => format!("error: {why}"),
                ConnectError::NoRoute(at) => format!("Unable to connect to the server: dial tcp {at}: i/o timeout"),
                ConnectError::Refused(at) => {
                    format!("The connection to the server {at} was refused - did you specify the right host or port?")
                }
                ConnectError::Tls(why) => {
                    format!("Unable to connect to the server: tls: failed to verify certificate: {why}")
                }
                ConnectError::Unauthorized => "error: You must be logged in to the server (Unauthorized)".into(),
            },
        )
    }

    /// Measured; Helm 3 begins with a capital.
    pub fn helm_error(&self, three: bool) -> Output {
        let get = |at: &str, why: &str| format!("Get \"https://{at}/version\": {why}");
        let why = match self {
            ConnectError::Config(why) => why.clone(),
            ConnectError::NoRoute(at) => get(at, &format!("dial tcp {at}: i/o timeout")),
            ConnectError::Refused(at) => get(at, &format!("dial tcp {at}: connect: connection refused")),
            ConnectError::Tls(why) => format!("tls: failed to verify certificate: {why}"),
            ConnectError::Unauthorized => "the server has asked for the client to provide credentials".into(),
        };
        let k = if three { 'K' } else { 'k' };
        failure(1, format!("Error: {k}ubernetes cluster unreachable: {why}"))
    }
}

/// A fleet has one kubeconfig per cluster and one for all.
const CACHE_SIZE: usize = 64;

struct Endpoint {
    server: String,
    host: String,
    /// None if the host is a name.
    address: Option<Ipv4Addr>,
    port: String,
    /// The name expected in the server's certificate, if it is not the host.
    name: Option<String>,
    authority: Option<String>,
    signer: Option<String>,
}

type CacheEntry = (Rc<Vec<u8>>, Option<String>, Rc<Endpoint>);

thread_local! {
    /// Every command of kubectl and Helm reads the same few files.
    static ENDPOINTS: RefCell<Vec<CacheEntry>> = const { RefCell::new(Vec::new()) };
}

/// The VM of the API server that a kubeconfig leads to.
pub fn connect(
    sim: &SimState,
    path: &str,
    context: Option<&str>,
    now: Duration,
    disk: &dyn Disk,
) -> Result<String, ConnectError> {
    let missing = || ConnectError::Config(format!("stat {path}: no such file or directory"));
    let endpoint = cached_endpoint(path, disk.read(path).ok_or_else(missing)?, context)?;
    let vm = find_listener(sim, &endpoint, now)?;
    check_tls(sim, &vm, &endpoint)?;
    if sim.cluster(&vm).is_some_and(|known| sim.clock(now) + timings::BACKDATE < known.certs_issued_at) {
        return Err(ConnectError::Tls(NOT_YET.into()));
    }
    Ok(vm)
}

fn cached_endpoint(path: &str, bytes: Rc<Vec<u8>>, context: Option<&str>) -> Result<Rc<Endpoint>, ConnectError> {
    ENDPOINTS.with_borrow_mut(|endpoints| {
        let same = |(file, within, _): &&CacheEntry| {
            within.as_deref() == context && (Rc::ptr_eq(file, &bytes) || *file == bytes)
        };
        if let Some((_, _, endpoint)) = endpoints.iter().find(same) {
            return Ok(endpoint.clone());
        }
        if endpoints.len() >= CACHE_SIZE {
            endpoints.clear();
        }
        // Errors contain the path, which is not part of the cache key.
        let endpoint = read_kubeconfig(path, &bytes, context).map(Rc::new).map_err(ConnectError::Config)?;
        endpoints.push((bytes, context.map(str::to_owned), endpoint.clone()));
        Ok(endpoint)
    })
}

fn read_kubeconfig(path: &str, bytes: &[u8], context: Option<&str>) -> Result<Endpoint, String> {
    let documents = yaml::documents(&request::text(bytes));
    let documents = documents.map_err(|why| format!("error loading config file \"{path}\": {why}"))?;
    let file = documents.first().map_or(&Value::Null, |file| file);
    let context = context.unwrap_or_else(|| text(file, "/current-context"));
    let chosen = find_named(file, "contexts", context);
    let chosen = chosen.ok_or_else(|| format!("context \"{context}\" does not exist"))?;
    let cluster = find_named(file, "clusters", text(chosen, "/context/cluster"));
    let user = find_named(file, "users", text(chosen, "/context/user"));
    let (Some(cluster), Some(user)) = (cluster, user) else {
        return Err(format!("context was not found for specified context: {context}"));
    };
    let server = text(cluster, "/cluster/server").trim_start_matches("https://");
    let (host, port) = server.split_once(':').unwrap_or((server, "443"));
    Ok(Endpoint {
        server: server.to_owned(),
        host: host.to_owned(),
        address: host.parse().ok(),
        port: port.to_owned(),
        name: cluster["cluster"]["tls-server-name"].as_str().map(str::to_owned),
        authority: pki::authority_in(text(cluster, "/cluster/certificate-authority-data")),
        signer: pki::signer_in(text(user, "/user/client-certificate-data")),
    })
}

fn find_named<'a>(file: &'a Value, list: &str, name: &str) -> Option<&'a Value> {
    file[list].as_array()?.iter().find(|entry| text(entry, "/name") == name)
}

fn find_listener(sim: &SimState, endpoint: &Endpoint, now: Duration) -> Result<String, ConnectError> {
    let Some(address) = endpoint.address else {
        // Names of API servers are in the nodes' hosts files, not in this machine's.
        return Err(ConnectError::NoRoute(format!("lookup {}: no such host", endpoint.host)));
    };
    let there = sim.vm_at(address).filter(|(_, vm)| vm.reachable(now));
    let (vm, _) = there.ok_or_else(|| ConnectError::NoRoute(endpoint.server.clone()))?;
    if endpoint.port != "6443" || !sim.api_up(vm, now) {
        return Err(ConnectError::Refused(endpoint.server.clone()));
    }
    Ok(vm.clone())
}

fn check_tls(sim: &SimState, vm: &str, endpoint: &Endpoint) -> Result<(), ConnectError> {
    let Some(known) = sim.cluster(vm) else { return Err(ConnectError::Refused(endpoint.server.clone())) };
    if endpoint.authority.as_ref() != Some(&known.ca) {
        return Err(ConnectError::Tls("x509: certificate signed by unknown authority".into()));
    }
    let name = endpoint.name.as_ref().unwrap_or(&endpoint.host);
    if !known.sans.iter().any(|san| san == name) {
        let valid = known.sans.join(", ");
        return Err(ConnectError::Tls(format!("x509: certificate is valid for {valid}, not {name}")));
    }
    if endpoint.signer.as_ref() == Some(&known.ca) { Ok(()) } else { Err(ConnectError::Unauthorized) }
}
