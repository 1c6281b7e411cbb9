//! curl, for downloads that are not charts: Gateway API's CRDs, and archives of tools.

use crate::argv::split_short_flags;
use crate::catalog;
use crate::prelude::*;

pub fn answer(sim: &mut SimState, request: &Request, disk: &mut dyn Disk) -> ToolResult<Output> {
    let args = split_short_flags(&request.args, "fsSL");
    if args == ["--version"] {
        return Ok(success(format!("curl {}\n", sim.machine.tools["curl"])));
    }
    let args = sim.parse_args(request, "curl", &[], &args)?;
    let url = args.word(0);
    if let Some(host) = sim.unresolvable_host(url) {
        return Err(failure(6, format!("curl: (6) Could not resolve host: {host}")));
    }
    let Some(body) = download_body(url) else {
        return Err(sim.unsupported(request, failure(22, "curl: (22) The requested URL returned error: 404")));
    };
    let Some(path) = args.get("output").filter(|path| *path != "-") else { return Ok(success(body)) };
    let written = disk.write(path, body.as_bytes());
    written.map_err(|why| failure(23, format!("curl: (23) Failure writing output to destination: {why}")))?;
    Ok(success(""))
}

fn download_body(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://")?;
    let gateway = rest.contains("kubernetes-sigs/gateway-api/") && rest.ends_with(".yaml");
    let file = rest.rsplit('/').next().unwrap_or_default();
    let full = |part: &&str| part.strip_prefix('v').is_some_and(|v| semver::Version::parse(v).is_ok());
    // Helm has its version in the file name only.
    let named = file.strip_prefix("helm-").and_then(|f| f.split('-').next());
    let version = rest.split('/').find(full).or(named.filter(full))?;
    if let Some(tool) = tool_of(file) {
        return Some(format!("{file}\n{tool} {}\n", version.trim_start_matches('v')));
    }
    let single = file.strip_prefix("gateway.networking.k8s.io_").and_then(|f| f.strip_suffix(".yaml"));
    let known = file == "standard-install.yaml" || single.is_some();
    (gateway && known).then(|| catalog::gateway_api(version, single)).filter(|body| !body.is_empty())
}

/// Whether a URL with this file name serves these bytes, whatever the version.
pub fn is_gateway_crds(file: &str, bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let version = text.lines().find_map(|line| line.trim().strip_prefix("gateway.networking.k8s.io/bundle-version: "));
    let single = file.strip_prefix("gateway.networking.k8s.io_").and_then(|f| f.strip_suffix(".yaml"));
    version.is_some_and(|version| {
        text == catalog::gateway_api(version, single) || text == catalog::gateway_api(version, None)
    })
}

fn tool_of(file: &str) -> Option<&'static str> {
    let names = [("helm-v", "helm"), ("kubernetes-client-", "kubectl"), ("cilium-", "cilium")];
    let found = names.into_iter().find(|(start, _)| file.starts_with(start) && file.ends_with(".tar.gz"));
    found.map(|(_, tool)| tool)
}

/// Whether these bytes are what a server offers under this file name.
pub fn is_tool_archive(path: &str, bytes: &[u8]) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    let rest = std::str::from_utf8(bytes).ok().and_then(|text| text.strip_prefix(file));
    tool_in_archive(bytes).is_some() && rest.is_some_and(|rest| rest.starts_with('\n') && rest.ends_with('\n'))
}

pub fn tool_in_archive(bytes: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(bytes).ok()?.lines().nth(1)?.split_once(' ')
}
