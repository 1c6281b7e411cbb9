//! curl, for downloads that are not charts: Gateway API's CRDs, and archives of tools.
//! Knows nothing of what is done with them.

use super::ask::{Ask, Disk, refused, said};
use super::catalog;
use super::flags::{Bad, Known, parse};
use super::stage::Stage;
use tool::Output;

const FLAGS: Known = Known {
    takes: &[
        "output",
        "retry",
        "retry-delay",
        "retry-max-time",
        "max-time",
        "connect-timeout",
        "proto",
        "tlsv1.2-max",
        "header",
    ],
    bare: &[
        "fail",
        "location",
        "silent",
        "show-error",
        "retry-all-errors",
        "retry-connrefused",
        "create-dirs",
        "remove-on-error",
        "tlsv1.2",
        "no-progress-meter",
        "fail-with-body",
    ],
    short: &[
        ('o', "output"),
        ('f', "fail"),
        ('L', "location"),
        ('s', "silent"),
        ('S', "show-error"),
        ('m', "max-time"),
    ],
};

/// Answers one command line.
pub fn answer(stage: &mut Stage, ask: &Ask, disk: &mut dyn Disk) -> Output {
    // `-fsSL` is four flags in one word.
    let args: Vec<String> = ask.args.iter().flat_map(|arg| spread(arg)).collect();
    if args == ["--version"] {
        return said(format!("curl {}\n", stage.machine.tools["curl"]));
    }
    let parsed = match parse(&args, &[FLAGS]) {
        Ok(parsed) => parsed,
        Err(Bad::Unknown(flag)) => {
            return stage.strange(
                ask,
                refused(2, format!("curl: option {flag}: is unknown\ncurl: try 'curl --help' for more information")),
            );
        }
        Err(Bad::NoValue(flag)) => {
            return stage.strange(ask, refused(2, format!("curl: option {flag}: requires parameter")));
        }
    };
    let url = parsed.word(0);
    if let Some(host) = stage.lost(url) {
        return refused(6, format!("curl: (6) Could not resolve host: {host}"));
    }
    let Some(body) = offered(url) else {
        return stage.strange(ask, refused(22, "curl: (22) The requested URL returned error: 404"));
    };
    match parsed.get("output") {
        None | Some("-") => said(body),
        Some(path) => match disk.write(path, body.as_bytes()) {
            Ok(()) => said(""),
            Err(why) => refused(23, format!("curl: (23) Failure writing output to destination: {why}")),
        },
    }
}

fn spread(arg: &str) -> Vec<String> {
    let letters = arg.strip_prefix('-').filter(|a| a.len() > 1 && a.chars().all(|c| "fsSL".contains(c)));
    letters.map_or(vec![arg.to_owned()], |letters| letters.chars().map(|c| format!("-{c}")).collect())
}

/// What stands behind a URL.
fn offered(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://")?;
    let gateway = rest.contains("kubernetes-sigs/gateway-api/") && rest.ends_with(".yaml");
    let file = rest.rsplit('/').next().unwrap_or_default();
    let full = |part: &&str| part.strip_prefix('v').is_some_and(|v| semver::Version::parse(v).is_ok());
    // Helm has its version in the file's name alone.
    let named = file.strip_prefix("helm-").and_then(|f| f.split('-').next());
    let version = rest.split('/').find(full).or(named.filter(full))?;
    if let Some(tool) = tool_of(file) {
        return Some(format!("{file}\n{tool} {}\n", version.trim_start_matches('v')));
    }
    let single = file.strip_prefix("gateway.networking.k8s.io_").and_then(|f| f.strip_suffix(".yaml"));
    let known = file == "standard-install.yaml" || single.is_some();
    (gateway && known).then(|| catalog::gateway_api(version, single)).filter(|body| !body.is_empty())
}

/// Whether these bytes are what a URL of this file name serves, whatever version.
pub fn serves(file: &str, bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let version = text.lines().find_map(|line| line.trim().strip_prefix("gateway.networking.k8s.io/bundle-version: "));
    let single = file.strip_prefix("gateway.networking.k8s.io_").and_then(|f| f.strip_suffix(".yaml"));
    version.is_some_and(|version| {
        text == catalog::gateway_api(version, single) || text == catalog::gateway_api(version, None)
    })
}

/// The tool in an archive of this name.
fn tool_of(file: &str) -> Option<&'static str> {
    let names = [("helm-v", "helm"), ("kubernetes-client-", "kubectl"), ("cilium-", "cilium")];
    let found = names.into_iter().find(|(start, _)| file.starts_with(start) && file.ends_with(".tar.gz"));
    found.map(|(_, tool)| tool)
}

/// Whether these bytes are an archive of a tool as its server offers it under this name.
pub fn packs(path: &str, bytes: &[u8]) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    let rest = std::str::from_utf8(bytes).ok().and_then(|text| text.strip_prefix(file));
    packed(bytes).is_some() && rest.is_some_and(|rest| rest.starts_with('\n') && rest.ends_with('\n'))
}

/// The tool in the bytes of an archive, and its version.
pub fn packed(bytes: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(bytes).ok()?.lines().nth(1)?.split_once(' ')
}
