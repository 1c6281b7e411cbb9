//! Names of other objects in a document, by key.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub port: Option<u64>,
    /// Whether it is on the workload clusters, wherever it is named.
    pub elsewhere: bool,
}

impl Name {
    pub fn of(kind: &str, namespace: &str, name: &str) -> Name {
        let (kind, namespace, name) = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        Name { kind, namespace, name, port: None, elsewhere: false }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, " port {port}"))
    }
}

/// Keys whose text is a name, and what it is the name of.
const TEXTS: [(&str, &str); 11] = [
    ("namespace", "Namespace"),
    ("serviceAccountName", "ServiceAccount"),
    ("kubernetes.io/service-account.name", "ServiceAccount"),
    ("storageClass", "StorageClass"),
    ("storageClassName", "StorageClass"),
    ("gatewayClassName", "GatewayClass"),
    ("secretName", "Secret"),
    ("existingSecret", "Secret"),
    ("extraSecretRef", "Secret"),
    ("existingConfigmap", "ConfigMap"),
    ("targetPort", "port"),
];

/// Keys whose table (or list of tables) has a `name`, and what it is the name of where the table has no `kind`.
const TABLES: [(&str, &str); 10] = [
    ("secretKeyRef", "Secret"),
    ("secretRef", "Secret"),
    ("configMapKeyRef", "ConfigMap"),
    ("configMapRef", "ConfigMap"),
    ("configMap", "ConfigMap"),
    ("serviceAccountRef", "ServiceAccount"),
    ("secretStoreRef", "SecretStore"),
    ("parentRefs", "Gateway"),
    ("backendRefs", "Service"),
    ("roleRef", "Role"),
];

/// Everything that a document names. `namespace` is where it is, and what a name without one means.
pub fn named(document: &Value, namespace: &str) -> Vec<Name> {
    let mut found = Vec::new();
    walk(document, namespace, "", &mut found);
    found.sort();
    found.dedup();
    found
}

/// `key` is that under which the value stands.
fn walk(value: &Value, namespace: &str, key: &str, found: &mut Vec<Name>) {
    match value {
        Value::String(text) => {
            found.extend(addresses(text));
            let kind = TEXTS.iter().find(|(known, _)| *known == key && !text.is_empty());
            found.extend(kind.map(|(_, kind)| Name::of(kind, namespace, text)));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, namespace, key, found)),
        Value::Object(table) => {
            found.extend(table_named(value, namespace, key));
            found.extend(selected(value));
            for (key, value) in table {
                let from = found.len();
                walk(value, namespace, key, found);
                // Where Argo CD delivers to is on the clusters that it knows.
                if key.starts_with("destination") {
                    found[from..].iter_mut().for_each(|name| name.elsewhere = true);
                }
            }
            found.extend(lists(value, namespace));
        }
        _ => {}
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// A reference as a table: `{name, namespace?, kind?, port?}`.
fn table_named(value: &Value, namespace: &str, key: &str) -> Option<Name> {
    let name = text(value, "name")?;
    let kind = match key {
        "subjects" => text(value, "kind")?,
        _ => text(value, "kind").unwrap_or(TABLES.iter().find(|(known, _)| *known == key)?.1),
    };
    TABLES.iter().find(|(known, _)| *known == key || key == "subjects")?;
    let port = value.get("port").and_then(Value::as_u64);
    Some(Name { port, ..Name::of(kind, text(value, "namespace").unwrap_or(namespace), name) })
}

/// Namespaces that a label selector names by the label that each has of itself.
fn selected(value: &Value) -> Vec<Name> {
    let by_name = text(value, "key") == Some("kubernetes.io/metadata.name") && text(value, "operator") == Some("In");
    let values = value.get("values").and_then(Value::as_array).filter(|_| by_name);
    values.into_iter().flatten().filter_map(Value::as_str).map(|name| Name::of("Namespace", "", name)).collect()
}

/// Keys whose values are names, more than one of them.
fn lists(value: &Value, namespace: &str) -> Vec<Name> {
    let texts = |value: Option<&Value>| -> Vec<String> {
        let items: Vec<&Value> = match value {
            Some(Value::Array(items)) => items.iter().collect(),
            Some(Value::Object(table)) => table.values().collect(),
            _ => vec![],
        };
        items.into_iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    };
    let backups = texts(value.get("includedNamespaces")).into_iter().map(|n| Name::of("Namespace", "", &n));
    let boards = texts(value.get("dashboardsConfigMaps")).into_iter().map(|n| Name::of("ConfigMap", namespace, &n));
    // The Secret by which Argo CD knows a cluster: these are on that cluster.
    let gitops = text(value, "namespaces").filter(|_| value.get("clusterResources").is_some());
    let gitops = gitops.map(|n| Name { elsewhere: true, ..Name::of("Namespace", "", n) });
    backups.chain(boards).chain(gitops).collect()
}

/// Services by their full name, with a port or without: `[pod.]service.namespace.svc.cluster.local[:port]`.
fn addresses(value: &str) -> Vec<Name> {
    static SERVICES: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r"(?-u)([a-z0-9-]+)\.([a-z0-9-]+)\.svc\.cluster\.local(?::([0-9]+))?";
        Regex::new(pattern).expect("a regular expression")
    });
    let service = |found: regex::Captures<'_>| {
        let port = found.get(3).map(|port| port.as_str().parse().expect("a number"));
        Name { port, ..Name::of("Service", &found[2], &found[1]) }
    };
    SERVICES.captures_iter(value).map(service).collect()
}
