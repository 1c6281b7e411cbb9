//! Errors of `kubeadm config validate` (measured on v1.35.6).

use std::net::Ipv4Addr;
use std::rc::Rc;

use ipnet::Ipv4Net;

use crate::data;
use crate::prelude::*;

/// Every failure exits 1 with the message and this second line (measured: 40 cases).
pub fn kubeadm_error(message: &str) -> Output {
    failure(1, format!("error: {message}\nTo see the stack trace of this error execute with --v=5 or higher"))
}

/// The error is the message behind `error: `.
pub fn validate(documents: &[Rc<Value>]) -> Result<(), String> {
    for document in documents {
        let (version, kind) = (text(document, "/apiVersion"), text(document, "/kind"));
        // Its fields are not known here, and nothing reads it: kube-proxy is not installed.
        if version == "kubeproxy.config.k8s.io/v1alpha1" && kind == "KubeProxyConfiguration" {
            continue;
        }
        let kubelet = version == "kubelet.config.k8s.io/v1beta1" && kind == "KubeletConfiguration";
        let ours = ["InitConfiguration", "ClusterConfiguration", "JoinConfiguration"].contains(&kind);
        let known = kubelet || version == "kubeadm.k8s.io/v1beta4" && ours;
        if !known {
            return Err(unsupported_kind(version, kind));
        }
        check_fields(document, version, kind)?;
        match kind {
            "InitConfiguration" => init(document)?,
            "ClusterConfiguration" => cluster(document)?,
            "JoinConfiguration" => join(document)?,
            _ => {}
        }
    }
    let has = |kind: &str| documents.iter().any(|d| text(d, "/kind") == kind);
    if has("InitConfiguration") || has("ClusterConfiguration") || has("JoinConfiguration") {
        return Ok(());
    }
    Err("no InitConfiguration, ClusterConfiguration or JoinConfiguration kind was found in the YAML file".into())
}

fn unsupported_kind(version: &str, kind: &str) -> String {
    match version {
        "kubeadm.k8s.io/v1beta2" => format!(
            "your configuration file uses an old API spec: \"{version}\" (kind: \"{kind}\"). Please use kubeadm v1.22 \
             instead and run 'kubeadm config migrate --old-config old-config-file --new-config new-config-file'"
        ),
        _ => format!(
            "invalid configuration for GroupVersionKind {version}, Kind={kind}: kind and apiVersion is mandatory"
        ),
    }
}

fn decoding_error(version: &str, kind: &str) -> String {
    let (group, version) = version.split_once('/').unwrap_or_default();
    format!(
        "error unmarshaling configuration \
         schema.GroupVersionKind{{Group:\"{group}\", Version:\"{version}\", Kind:\"{kind}\"}}"
    )
}

pub fn check_fields(document: &Value, version: &str, kind: &str) -> Result<(), String> {
    let mut unknown = Vec::new();
    collect_unknown(document, kind, "", &mut unknown);
    if unknown.is_empty() {
        return Ok(());
    }
    let fields: Vec<String> = unknown.iter().map(|f| format!("unknown field \"{f}\"")).collect();
    Err(format!("{}: strict decoding error: {}", decoding_error(version, kind), fields.join(", ")))
}

fn collect_unknown(value: &Value, kind: &str, path: &str, unknown: &mut Vec<String>) {
    let Some(known) = data::fields(kind) else { return };
    if let Value::Array(items) = value {
        for (index, item) in items.iter().enumerate() {
            collect_unknown(item, kind, &format!("{}[{index}].", path.trim_end_matches('.')), unknown);
        }
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        match known.get(key).map(String::as_str) {
            None => unknown.push(format!("{path}{key}")),
            Some("") => {}
            Some(kind) => collect_unknown(inner, kind, &format!("{path}{key}."), unknown),
        }
    }
}

fn init(document: &Value) -> Result<(), String> {
    for entry in document["bootstrapTokens"].as_array().into_iter().flatten() {
        check_token(text(entry, "/token"), "InitConfiguration")?;
        check_duration(text(entry, "/ttl"), "InitConfiguration")?;
    }
    let address = text(document, "/localAPIEndpoint/advertiseAddress");
    match address.parse::<Ipv4Addr>() {
        _ if address.is_empty() => {}
        Ok(ip) if ip.is_loopback() => return Err("unable to select an IP from lo network interface".into()),
        Ok(_) => {}
        Err(_) => {
            let rule = "as \"apiserver-advertise-address\", must be ipv4 or ipv6 address";
            return Err(format!("couldn't use \"{address}\" {rule}"));
        }
    }
    check_node_name(document)
}

fn check_node_name(document: &Value) -> Result<(), String> {
    let name = text(document, "/nodeRegistration/name").to_lowercase();
    let fits = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c));
    if fits && !name.starts_with(['-', '.']) && !name.ends_with(['-', '.']) {
        return Ok(());
    }
    let rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                must start and end with an alphanumeric character";
    Err(format!("nodeRegistration.name: Invalid value: \"{name}\": {rule}"))
}

fn check_token(token: &str, kind: &str) -> Result<(), String> {
    let lower = |text: &str, len: usize| {
        text.len() == len && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    match token.split_once('.') {
        Some((id, secret)) if lower(id, 6) && lower(secret, 16) => Ok(()),
        _ => {
            let form = r#""\\A([a-z0-9]{6})\\.([a-z0-9]{16})\\z""#;
            let group = decoding_error("kubeadm.k8s.io/v1beta4", kind);
            Err(format!("{group}: the bootstrap token \"{token}\" was not of the form {form}"))
        }
    }
}

fn check_duration(text: &str, kind: &str) -> Result<(), String> {
    if text.is_empty() || duration(text).is_some() {
        return Ok(());
    }
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let group = decoding_error("kubeadm.k8s.io/v1beta4", kind);
    Err(format!("{group}: time: unknown unit \"{unit}\" in duration \"{text}\""))
}

fn cluster(document: &Value) -> Result<(), String> {
    version(text(document, "/kubernetesVersion"))?;
    let endpoint = text(document, "/controlPlaneEndpoint");
    if endpoint.contains("://") {
        let host = format!("host '{endpoint}' must be a valid IP address or a valid RFC-1123 DNS subdomain");
        return Err(format!("hostport {endpoint}: {host}"));
    }
    let services = text(document, "/networking/serviceSubnet");
    if let Some(net) = parse_subnet("serviceSubnet", services)? {
        // 20 bits at most; the mask is applied silently, the string is kept as given.
        if net.prefix_len() < 12 {
            let rule = "specified service subnet is too large; for 32-bit addresses, the mask must be >= 12";
            return Err(format!("networking.serviceSubnet: Invalid value: \"{services}\": {rule}"));
        }
        let size = 1u64 << (32 - net.prefix_len());
        if size < 10 {
            let rule = format!("subnet with {size} address(es) is too small, the minimum is 10");
            return Err(format!("networking.serviceSubnet: Invalid value: \"{services}\": {rule}"));
        }
    }
    let pods = text(document, "/networking/podSubnet");
    if let Some(net) = parse_subnet("podSubnet", pods)?.filter(|net| net.prefix_len() > 24) {
        let mask = net.prefix_len();
        let rule =
            format!("the size of pod subnet with mask {mask} is smaller than the size of node subnet with mask 24");
        return Err(format!("networking.podSubnet: Invalid value: \"{pods}\": {rule}"));
    }
    Ok(())
}

fn parse_subnet(field: &str, given: &str) -> Result<Option<Ipv4Net>, String> {
    if given.is_empty() {
        return Ok(None);
    }
    let bad = |_| format!("networking.{field}: Invalid value: \"{given}\": couldn't parse subnet");
    given.parse().map(Some).map_err(bad)
}

/// Only older versions are refused; newer than kubeadm itself is a warning.
fn version(given: &str) -> Result<(), String> {
    if given.is_empty() {
        return Ok(());
    }
    let Ok(version) = semver::Version::parse(given.trim_start_matches('v')) else {
        let labels = "doesn't match patterns for neither semantic version nor labels (stable, latest, ...)";
        return Err(format!("version \"{given}\" {labels}"));
    };
    if version >= semver::Version::new(1, 34, 0) {
        return Ok(());
    }
    let rule = "this version of kubeadm only supports deploying clusters with the control plane version >= 1.34.0";
    Err(format!("{rule}. Current version: v{version}"))
}

fn join(document: &Value) -> Result<(), String> {
    let discovery = "/discovery/bootstrapToken";
    check_token(text(document, &format!("{discovery}/token")), "JoinConfiguration")?;
    check_duration(text(document, "/timeouts/discovery"), "JoinConfiguration")?;
    let given = |key: &str| document.pointer(&format!("{discovery}/{key}")).is_some_and(|v| !v.is_null());
    if !given("apiServerEndpoint") {
        return Err("discovery.bootstrapToken.apiServerEndpoint: Required value: APIServerEndpoint is not set".into());
    }
    if !given("caCertHashes") && !given("unsafeSkipCAVerification") {
        let rule = "using token-based discovery without caCertHashes can be unsafe. Set unsafeSkipCAVerification as \
                    true in your kubeadm config file or pass --discovery-token-unsafe-skip-ca-verification flag to \
                    continue";
        return Err(format!("discovery.bootstrapToken.caCertHashes: Invalid value: \"\": {rule}"));
    }
    check_node_name(document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::documents;

    fn message(yaml: &str) -> String {
        validate(&documents(yaml).unwrap()).err().unwrap_or("ok".into())
    }

    fn cluster(lines: &str) -> String {
        message(&format!("apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n{lines}"))
    }

    fn init(lines: &str) -> String {
        message(&format!("apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n{lines}"))
    }

    #[test]
    fn unknown_keys_are_named_at_every_depth() {
        assert!(cluster("kubeProxy: {}\n").ends_with("strict decoding error: unknown field \"kubeProxy\""));
        assert!(cluster("networking: {podsubnet: x}\n").ends_with("unknown field \"networking.podsubnet\""));
        assert!(cluster("apiServer: {extraArgs: [{nam: x}]}\n").ends_with("\"apiServer.extraArgs[0].nam\""));
        let kubelet = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxpods: 3\n";
        assert!(message(kubelet).contains("Kind:\"KubeletConfiguration\"}: strict decoding error"));
    }

    #[test]
    fn versions_are_only_refused_when_too_old() {
        assert!(cluster("kubernetesVersion: v1.33.0\n").contains("Current version: v1.33.0"));
        for fine in ["v1.34.0", "v1.35.7", "v1.37.0"] {
            assert_eq!(cluster(&format!("kubernetesVersion: {fine}\n")), "ok");
        }
        assert!(cluster("kubernetesVersion: abc\n").starts_with("version \"abc\" doesn't match"));
    }

    #[test]
    fn subnets_have_sizes_but_may_swallow_each_other() {
        assert!(cluster("networking: {serviceSubnet: 10.0.0.0/8}\n").contains("too large"));
        assert!(cluster("networking: {serviceSubnet: 10.96.0.0/30}\n").contains("with 4 address(es)"));
        assert!(cluster("networking: {podSubnet: 10.100.0.0/25}\n").contains("mask 25 is smaller"));
        assert!(cluster("networking: {podSubnet: 10.100.0.0}\n").contains("couldn't parse subnet"));
        assert_eq!(cluster("networking: {serviceSubnet: 10.97.0.0/12, podSubnet: 10.101.0.0/16}\n"), "ok");
    }

    #[test]
    fn tokens_addresses_names_and_times_have_forms() {
        assert!(init("bootstrapTokens: [{token: ABC}]\n").contains("bootstrap token \"ABC\" was not of the form"));
        assert!(init("localAPIEndpoint: {advertiseAddress: 1.2.3.999}\n").contains("couldn't use \"1.2.3.999\""));
        assert!(init("localAPIEndpoint: {advertiseAddress: 127.0.0.1}\n").contains("from lo network interface"));
        assert!(init("nodeRegistration: {name: Mgmt_CP}\n").contains("Invalid value: \"mgmt_cp\""));
        let token = "bootstrapTokens: [{token: arc002.abcdefghij012345, ttl: 2hours}]\n";
        assert!(init(token).contains("time: unknown unit \"hours\" in duration \"2hours\""));
        assert!(cluster("controlPlaneEndpoint: https://a:6443\n").starts_with("hostport https://a:6443"));
    }

    #[test]
    fn kube_proxy_may_have_a_document() {
        let proxy = "---\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: nftables\n";
        assert_eq!(cluster(&format!("kubernetesVersion: v1.35.7\n{proxy}")), "ok");
        assert!(message(proxy).starts_with("no InitConfiguration"), "alone it is none of kubeadm's");
    }

    #[test]
    fn other_api_versions_are_refused() {
        assert!(message("apiVersion: kubeadm.k8s.io/v1beta2\nkind: InitConfiguration\n").contains("an old API spec"));
        assert!(message("apiVersion: v1\nkind: Pod\n").contains("kind and apiVersion is mandatory"));
    }
}
