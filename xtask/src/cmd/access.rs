//! `access`: the clusters' nodes and web pages, with address, user and the command that prints the password.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::exit::{CmdError, CmdResult, DONE, FAILED, PRECONDITION, USAGE};
use super::inputs::{self, Inputs};
use super::{Session, query, world_factory};
use crate::cli::Format;
use crate::ui::format;
use crate::ui::shell::Severity;
use model::fleet::Cluster;
use model::problem::{Problem, nearest};
use model::release::Chart;
use model::yaml;
use plan::bootstrap::{KUBECONFIG, kube_path};
use tool::World;
use tool::helm::Helm;
use tool::kubectl::Kubectl;

const LIMIT: Duration = Duration::from_secs(20);
const KINDS: &str = "nodes,gateways.gateway.networking.k8s.io,httproutes.gateway.networking.k8s.io";

/// What is there now.
struct Seen<'a> {
    /// Each cluster that was asked, with its nodes that are ready.
    clusters: Vec<(&'a Cluster, String)>,
    pages: Vec<Page<'a>>,
}

/// A page as it can be reached now.
struct Page<'a> {
    chart: &'a Chart,
    cluster: &'a Cluster,
    /// Host and address, where the Gateway has one and the route is accepted.
    at: Option<(String, String)>,
}

impl Page<'_> {
    fn field(&self, key: &str) -> &str {
        self.chart.access.get(key).map_or("", String::as_str)
    }

    fn title(&self) -> &str {
        self.chart.access.get("title").map_or(&self.chart.placement.name, String::as_str)
    }

    fn url(&self) -> Option<String> {
        self.at.as_ref().map(|(host, _)| format!("http://{host}{}", self.field("path")))
    }

    /// The way without a name or a Gateway.
    fn forward(&self) -> String {
        let (service, port) = self.field("service").split_once(':').unwrap_or_default();
        let (config, namespace) = (kube_path(self.cluster), &self.chart.namespace);
        format!("kubectl --kubeconfig {config} -n {namespace} port-forward svc/{service} 8080:{port}")
    }
}

pub struct Asked<'a> {
    pub name: Option<&'a str>,
    pub open: bool,
    pub password: bool,
}

/// # Errors
/// Problems of the input, an unknown name, a password that is not there.
pub fn run(session: &mut Session, asked: &Asked<'_>) -> CmdResult {
    let inputs = inputs::load(session)?;
    let known: BTreeSet<&str> = charts(&inputs).map(|(chart, _)| chart.placement.name.as_str()).collect();
    let known = Vec::from_iter(known);
    if let Some(name) = asked.name.filter(|name| !known.contains(name)) {
        let problem =
            Problem::new(format!("no release `{name}` has a web page")).why(format!("there are {}", known.join(", ")));
        let near = nearest(name, known.iter().copied()).unwrap_or(known.first().copied().unwrap_or("grafana"));
        return Err(CmdError::new(USAGE, problem.hint(format!("cargo xtask access {near}"))));
    }
    if asked.name.is_none() && (asked.password || asked.open) {
        let problem = Problem::new("`--password` and `--open` need the name of a release");
        return Err(CmdError::new(USAGE, problem.hint("cargo xtask access grafana --open")));
    }
    world_factory::with_world(session, None, &inputs.bootstrap(Helm::V4), &mut |session, world| {
        let seen = look(world, &inputs, asked.name)?;
        match &seen.pages[..] {
            [page, ..] if asked.password => password(session, world, page),
            [page, ..] if asked.open => open(session, page),
            _ => print(session, &seen),
        }
    })
}

fn charts(inputs: &Inputs) -> impl Iterator<Item = (&Chart, &Cluster)> {
    let clusters = inputs.fleet.clusters.iter();
    let pairs = clusters.flat_map(|cluster| inputs.releases.charts_on(cluster.role).map(move |chart| (chart, cluster)));
    pairs.filter(|(chart, cluster)| has_page(inputs, chart, cluster))
}

/// Whether a chart has a page and its values turn it on.
fn has_page(inputs: &Inputs, chart: &Chart, cluster: &Cluster) -> bool {
    let is_on = |switch: &String| {
        let file = format!("{}/{}/values.yaml", cluster.name, chart.placement.name);
        let values = inputs.files.get(&file).and_then(|text| yaml::foreign(&file, text).ok()).unwrap_or_default();
        let at = format!("/{}", switch.replace('.', "/"));
        values.first().is_some_and(|document| document.value.pointer(&at) == Some(&Value::Bool(true)))
    };
    !chart.access.is_empty() && chart.access.get("when").is_none_or(is_on)
}

/// Asks each cluster for its nodes, Gateways and routes.
fn look<'a>(world: &mut dyn World, inputs: &'a Inputs, name: Option<&str>) -> Result<Seen<'a>, CmdError> {
    let mut seen = Seen { clusters: vec![], pages: vec![] };
    let charts: Vec<_> =
        charts(inputs).filter(|(chart, _)| name.is_none_or(|name| chart.placement.name == name)).collect();
    for cluster in &inputs.fleet.clusters {
        let mut charts = charts.iter().filter(|(_, on)| on.name == cluster.name).peekable();
        if name.is_some() && charts.peek().is_none() {
            continue;
        }
        let output = query::command(world, Kubectl::on(&kube_path(cluster)).list(KINDS, &["--all-namespaces"]), LIMIT)?;
        let list: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
        let objects = list["items"].as_array().map_or(&[][..], Vec::as_slice);
        let nodes = match output.ok() {
            true => format!("{} of {} ready", ready(objects), format::count(cluster.nodes.len(), "node")),
            false => format!("no answer: {}", output.reason_or_end()),
        };
        seen.clusters.push((cluster, nodes));
        seen.pages.extend(charts.map(|(chart, cluster)| {
            let route = chart.access.get("route").map_or("", String::as_str);
            Page { chart, cluster, at: reached(objects, &chart.namespace, route) }
        }));
    }
    Ok(seen)
}

fn holds(conditions: &Value, kind: &str) -> bool {
    conditions.as_array().into_iter().flatten().any(|c| c["type"] == kind && c["status"] == "True")
}

/// How many nodes are ready.
fn ready(objects: &[Value]) -> usize {
    objects.iter().filter(|o| o["kind"] == "Node" && holds(&o["status"]["conditions"], "Ready")).count()
}

/// The host of a route that is accepted, and the address of its Gateway.
fn reached(objects: &[Value], namespace: &str, route: &str) -> Option<(String, String)> {
    let find = |kind: &str, namespace: &str, name: &str| {
        let is =
            |o: &&Value| o["kind"] == kind && o["metadata"]["namespace"] == namespace && o["metadata"]["name"] == name;
        objects.iter().find(is)
    };
    let route = find("HTTPRoute", namespace, route)?;
    route["status"]["parents"].as_array()?.iter().find(|parent| holds(&parent["conditions"], "Accepted"))?;
    let parent = &route["spec"]["parentRefs"][0];
    let gateway = find("Gateway", parent["namespace"].as_str().unwrap_or(namespace), parent["name"].as_str()?)?;
    let address = gateway["status"]["addresses"][0]["value"].as_str()?;
    Some((route["spec"]["hostnames"][0].as_str()?.to_owned(), address.to_owned()))
}

fn print(session: &mut Session, seen: &Seen<'_>) -> CmdResult {
    if session.flags.format == Format::Json {
        for page in &seen.pages {
            let address = page.at.as_ref().map(|(_, address)| address);
            session
                .shell
                .event(json!({ "event": "access", "name": page.chart.placement.name, "cluster": page.cluster.name,
                "url": page.url(), "address": address, "user": page.field("user"), "forward": page.forward() }));
        }
        return Ok(DONE);
    }
    let text = text(session, seen);
    session.shell.screen(&text);
    Ok(DONE)
}

fn text(session: &Session, Seen { clusters, pages }: &Seen<'_>) -> String {
    let width = clusters.iter().map(|(cluster, _)| cluster.name.len()).max().unwrap_or(0);
    let mut out: String = clusters.iter().map(|(c, nodes)| format!("{:width$}  {nodes}\n", c.name)).collect();
    out.push_str(&format!("\nexport KUBECONFIG={}\n", session.workspace.out().join(KUBECONFIG)));
    for page in pages {
        let url = page.url().unwrap_or_else(|| match page.field("route") {
            "" => "http://localhost:8080 after:".to_owned(),
            _ => "no address yet; http://localhost:8080 after:".to_owned(),
        });
        out.push_str(&format!("\n{} on {}\n  {url}\n", page.title(), page.cluster.name));
        if page.at.is_none() {
            out.push_str(&format!("  $ {}\n", page.forward()));
        }
        if page.field("password").is_empty() {
            continue;
        }
        let command = format!("cargo xtask access {} --password", page.chart.placement.name);
        out.push_str(&format!("  user {}, password: {}\n", page.field("user"), command));
    }
    let hosts = pages.iter().filter_map(|page| page.at.as_ref());
    let hosts: String = hosts.map(|(host, address)| format!("  {address} {host}\n")).collect();
    if !hosts.is_empty() {
        out.push_str(&format!("\nnames for /etc/hosts\n{hosts}"));
    }
    out
}

/// Prints the password alone, so that it can be piped.
fn password(session: &mut Session, world: &mut dyn World, page: &Page<'_>) -> CmdResult {
    let source = page.field("password");
    let found = match source.strip_prefix("cluster:").and_then(|rest| rest.split_once('/')) {
        Some((name, key)) => {
            let command = Kubectl::on(&kube_path(page.cluster)).secret_value(&page.chart.namespace, name, key);
            Some(query::command(world, command, LIMIT)?).filter(|output| output.ok()).map(|output| output.stdout)
        }
        None => {
            let name = source.trim_start_matches("secret:");
            session.workspace.secret(name).map_err(CmdError::with(PRECONDITION))?
        }
    };
    match found.filter(|found| !found.is_empty()) {
        Some(found) => session.shell.result(&format!("{}\n", found.trim())),
        None => {
            let problem = Problem::new(format!("there is no password of {} yet", page.title()));
            return Err(CmdError::new(FAILED, problem.hint("cargo xtask bootstrap")));
        }
    }
    Ok(DONE)
}

fn open(session: &mut Session, page: &Page<'_>) -> CmdResult {
    let Some(url) = page.url() else {
        let problem = Problem::new(format!("{} has no address yet", page.title()));
        return Err(CmdError::new(
            FAILED,
            problem.why("its Gateway has none, or its route is not accepted").hint(page.forward()),
        ));
    };
    if session.flags.simulate {
        session.shell.status(Severity::Dim, "Opening", &format!("{url}: in a simulation there is no page"));
        return Ok(DONE);
    }
    let browser = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let cannot =
        |e: xshell::Error| CmdError::new(PRECONDITION, Problem::new(format!("cannot open {url}")).why(e.to_string()));
    let sh = xshell::Shell::new().map_err(cannot)?;
    xshell::cmd!(sh, "{browser} {url}").quiet().run().map_err(cannot)?;
    Ok(DONE)
}

/// What commands end with that leave clusters running.
///
/// # Errors
/// Problems of the input, or the user interrupted.
pub fn end_screen(session: &mut Session) -> Result<(), CmdError> {
    let inputs = inputs::load(session)?;
    world_factory::with_world(session, None, &inputs.bootstrap(Helm::V4), &mut |session, world| {
        let seen = look(world, &inputs, None)?;
        let text = text(session, &seen);
        session.shell.progress(&format!("\n{text}"));
        Ok(DONE)
    })?;
    Ok(())
}
