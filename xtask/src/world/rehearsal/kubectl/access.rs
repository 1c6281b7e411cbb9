//! How a client reaches an API server of the embedded world: kubeconfig, address, certificates; and how it fails.
//! Knows nothing of what is asked there.

use std::time::Duration;

use serde_json::Value;

use super::super::ask::{Disk, refused};
use super::super::clockwork;
use super::super::kubeadm::NOT_YET;
use super::super::pki;
use super::super::stage::Stage;
use super::super::yaml::{self, text};
use crate::tools::Output;

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
    let config = |why: String| Closed::Config(why);
    let bytes = disk.read(path).ok_or_else(|| config(format!("stat {path}: no such file or directory")))?;
    let documents = yaml::documents(&String::from_utf8_lossy(&bytes));
    let documents = documents.map_err(|why| config(format!("error loading config file \"{path}\": {why}")))?;
    let file = documents.first().unwrap_or(&Value::Null);
    let context = context.unwrap_or_else(|| text(file, "/current-context"));
    let Some(chosen) = named(file, "contexts", context) else {
        return Err(config(format!("context \"{context}\" does not exist")));
    };
    let (Some(cluster), Some(user)) = (
        named(file, "clusters", text(chosen, "/context/cluster")),
        named(file, "users", text(chosen, "/context/user")),
    ) else {
        return Err(config(format!("context was not found for specified context: {context}")));
    };
    let server = text(cluster, "/cluster/server").trim_start_matches("https://");
    let vm = listening(stage, server, now)?;
    trusted(stage, &vm, server, &cluster["cluster"], &user["user"])?;
    if stage.cluster(&vm).is_some_and(|known| stage.clock(now) + clockwork::BACKDATE < known.born) {
        return Err(Closed::Tls(NOT_YET.into()));
    }
    Ok(vm)
}

fn named<'a>(file: &'a Value, list: &str, name: &str) -> Option<&'a Value> {
    file[list].as_array()?.iter().find(|entry| text(entry, "/name") == name)
}

fn listening(stage: &Stage, server: &str, now: Duration) -> Result<String, Closed> {
    let (host, port) = server.split_once(':').unwrap_or((server, "443"));
    let Ok(address) = host.parse() else {
        // The names of our API servers are in the nodes' hosts files, not in this machine's.
        return Err(Closed::NoRoute(format!("lookup {host}: no such host")));
    };
    let (vm, _) =
        stage.at(address).filter(|(_, vm)| vm.reachable(now)).ok_or_else(|| Closed::NoRoute(server.into()))?;
    if port != "6443" || !stage.api_up(vm, now) {
        return Err(Closed::Refused(server.into()));
    }
    Ok(vm.clone())
}

fn trusted(stage: &Stage, vm: &str, server: &str, cluster: &Value, user: &Value) -> Result<(), Closed> {
    let Some(known) = stage.cluster(vm) else { return Err(Closed::Refused(server.into())) };
    if !holds(&cluster["certificate-authority-data"], &pki::authority(&known.ca)) {
        return Err(Closed::Tls("x509: certificate signed by unknown authority".into()));
    }
    let host = server.split(':').next().unwrap_or_default();
    let name = cluster["tls-server-name"].as_str().unwrap_or(host);
    if !known.sans.iter().any(|san| san == name) {
        let valid = known.sans.join(", ");
        return Err(Closed::Tls(format!("x509: certificate is valid for {valid}, not {name}")));
    }
    if holds(&user["client-certificate-data"], &pki::admin(&known.ca)) { Ok(()) } else { Err(Closed::Unauthorized) }
}

/// Whether data of a kubeconfig is this block. Most of the time its text is the one that we would write.
fn holds(data: &Value, block: &str) -> bool {
    let data = data.as_str().unwrap_or_default();
    data == pki::base64(block.as_bytes()) || {
        let bytes = pki::unbase64(data).unwrap_or_default();
        String::from_utf8_lossy(&bytes).trim() == block.trim()
    }
}
