//! `access`: the web pages of the clusters, with address, user and the command that prints the password.

use std::time::Duration;

use serde_json::{Value, json};

use super::exit::{CmdError, CmdResult, DONE, FAILED, PRECONDITION, USAGE};
use super::inputs::{self, Inputs};
use super::{Session, query, world_factory};
use crate::cli::Format;
use crate::ui::shell::Severity;
use model::fleet::Cluster;
use model::problem::{Problem, nearest};
use model::release::Chart;
use plan::bootstrap::{KUBECONFIG, kube_path};
use tool::World;
use tool::helm::Helm;
use tool::kubectl::Kubectl;

const LIMIT: Duration = Duration::from_secs(20);
const KINDS: &str = "gateways.gateway.networking.k8s.io,httproutes.gateway.networking.k8s.io";

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
    let known: Vec<&str> = charts(&inputs).map(|(chart, _)| chart.placement.name.as_str()).collect();
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
        let pages = look(world, &inputs, asked.name)?;
        match &pages[..] {
            [page, ..] if asked.password => password(session, world, page),
            [page, ..] if asked.open => open(session, page),
            pages => print(session, pages),
        }
    })
}

fn charts(inputs: &Inputs) -> impl Iterator<Item = (&Chart, &Cluster)> {
    let clusters = inputs.fleet.clusters.iter();
    let pairs = clusters.flat_map(|cluster| inputs.releases.charts_on(cluster.role).map(move |chart| (chart, cluster)));
    pairs.filter(|(chart, _)| !chart.access.is_empty())
}

/// Asks each cluster for its Gateways and routes.
fn look<'a>(world: &mut dyn World, inputs: &'a Inputs, name: Option<&str>) -> Result<Vec<Page<'a>>, CmdError> {
    let mut pages = Vec::new();
    let mut known: Option<(&str, Vec<Value>)> = None;
    for (chart, cluster) in charts(inputs).filter(|(chart, _)| name.is_none_or(|name| chart.placement.name == name)) {
        if known.as_ref().is_none_or(|(asked, _)| *asked != cluster.name) {
            let command = Kubectl::on(&kube_path(cluster)).list(KINDS, &["--all-namespaces"]);
            let output = query::command(world, command, LIMIT)?;
            let list: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
            known = Some((&cluster.name, list["items"].as_array().cloned().unwrap_or_default()));
        }
        let objects = known.as_ref().map_or(&[][..], |(_, objects)| objects);
        let route = chart.access.get("route").map_or("", String::as_str);
        pages.push(Page { chart, cluster, at: reached(objects, &chart.namespace, route) });
    }
    Ok(pages)
}

/// The host of a route that is accepted, and the address of its Gateway.
fn reached(objects: &[Value], namespace: &str, route: &str) -> Option<(String, String)> {
    let find = |kind: &str, namespace: &str, name: &str| {
        let is =
            |o: &&Value| o["kind"] == kind && o["metadata"]["namespace"] == namespace && o["metadata"]["name"] == name;
        objects.iter().find(is)
    };
    let route = find("HTTPRoute", namespace, route)?;
    let accepted = |c: &Value| c["type"] == "Accepted" && c["status"] == "True";
    let parents = route["status"]["parents"].as_array()?;
    if !parents.iter().flat_map(|parent| parent["conditions"].as_array()).flatten().any(accepted) {
        return None;
    }
    let parent = &route["spec"]["parentRefs"][0];
    let gateway = find("Gateway", parent["namespace"].as_str().unwrap_or(namespace), parent["name"].as_str()?)?;
    let address = gateway["status"]["addresses"][0]["value"].as_str()?;
    Some((route["spec"]["hostnames"][0].as_str()?.to_owned(), address.to_owned()))
}

fn print(session: &mut Session, pages: &[Page<'_>]) -> CmdResult {
    if session.flags.format == Format::Json {
        for page in pages {
            let address = page.at.as_ref().map(|(_, address)| address);
            session
                .shell
                .event(json!({ "event": "access", "name": page.chart.placement.name, "cluster": page.cluster.name,
                "url": page.url(), "address": address, "user": page.field("user"), "forward": page.forward() }));
        }
        return Ok(DONE);
    }
    let text = text(session, pages);
    session.shell.screen(&text);
    Ok(DONE)
}

fn text(session: &Session, pages: &[Page<'_>]) -> String {
    let mut out = format!("export KUBECONFIG={}\n", session.workspace.out().join(KUBECONFIG));
    for page in pages {
        let url = page.url().unwrap_or_else(|| "no address yet; http://localhost:8080 after:".to_owned());
        out.push_str(&format!("\n{} on {}\n  {url}\n", page.title(), page.cluster.name));
        if page.at.is_none() {
            out.push_str(&format!("  $ {}\n", page.forward()));
        }
        let command = format!("cargo xtask access {} --password", page.chart.placement.name);
        out.push_str(&format!("  user {}, password: {}\n", page.field("user"), session.flags.hint(&command)));
    }
    let mut hosts: Vec<(&str, Vec<&str>)> = Vec::new();
    for (host, address) in pages.iter().filter_map(|page| page.at.as_ref()) {
        match hosts.iter_mut().find(|(known, _)| known == address) {
            Some((_, names)) => names.push(host),
            None => hosts.push((address, vec![host])),
        }
    }
    if !hosts.is_empty() {
        out.push_str("\nnames for /etc/hosts\n");
    }
    hosts.iter().for_each(|(address, names)| out.push_str(&format!("  {address} {}\n", names.join(" "))));
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

/// What `up` ends with.
pub fn end_screen(session: &mut Session) -> Result<(), CmdError> {
    let inputs = inputs::load(session)?;
    world_factory::with_world(session, None, &inputs.bootstrap(Helm::V4), &mut |session, world| {
        let pages = look(world, &inputs, None)?;
        let text = text(session, &pages);
        session.shell.progress(&format!("\n{text}"));
        Ok(DONE)
    })?;
    Ok(())
}
