//! Vault's storage and its command line. Exit codes as documented (2 for an error of the server), texts from upstream.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::prelude::*;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultStore {
    pub disk: u64,
    /// Unseal key and root token, once initialised.
    pub keys: Option<(String, String)>,
    pub open: Option<String>,
    pub paths: BTreeMap<String, Value>,
    pub files: BTreeMap<String, String>,
}

/// `vault status -format=json`.
pub fn status(store: &VaultStore, sealed: bool) -> String {
    let shares = u8::from(store.keys.is_some());
    let all = json!({ "type": "shamir", "initialized": store.keys.is_some(), "sealed": sealed, "t": shares, "n": shares,
        "progress": 0, "nonce": "", "version": "2.0.4", "storage_type": "raft", "ha_enabled": true });
    format!("{}\n", serde_json::to_string_pretty(&all).unwrap_or_default())
}

fn error(verb: &str, path: &str, code: u16, why: &str) -> Output {
    let url = format!("URL: {verb} http://127.0.0.1:8200/v1/{path}");
    failure(2, format!("Error making API request.\n\n{url}\nCode: {code}. Errors:\n\n* {why}"))
}

impl VaultStore {
    pub fn init(&mut self, serial: u64, disk: u64) -> Output {
        if self.keys.is_some() {
            return error("PUT", "sys/init", 400, "Vault is already initialized");
        }
        let digest = |what: &str| pki::sha256(format!("{what} {serial}").as_bytes());
        let hex = digest("unseal key");
        let bytes: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap_or(0)).collect();
        let key = pki::base64(&bytes);
        let token = format!("hvs.{}", &digest("root token")[..24]);
        let all = json!({ "unseal_keys_b64": [key], "unseal_keys_hex": [hex], "unseal_shares": 1, "unseal_threshold": 1,
            "recovery_keys_b64": [], "recovery_keys_hex": [], "root_token": token });
        *self = VaultStore { disk, keys: Some((key, token)), ..VaultStore::default() };
        success(format!("{}\n", serde_json::to_string_pretty(&all).unwrap_or_default()))
    }

    /// `vault write sys/unseal` needs no token.
    pub fn unseal(&mut self, stdin: &str, run: String) -> Output {
        let given: Value = serde_json::from_str(stdin).unwrap_or_default();
        match &self.keys {
            None => error("PUT", "sys/unseal", 400, "Vault is not initialized"),
            Some((key, _)) if given["key"].as_str() == Some(key) => {
                self.open = Some(run);
                success("Key                Value\n---                -----\nsealed             false\n")
            }
            Some(_) => error("PUT", "sys/unseal", 400, "failed to unseal: cipher: message authentication failed"),
        }
    }

    /// The script after reading the token.
    pub fn script(&mut self, script: &str, stdin: &str, sealed: bool) -> Option<Output> {
        let (token, rest) = stdin.split_once('\n').unwrap_or((stdin, ""));
        let words: Vec<&str> = script.split(' ').collect();
        let (path, act) = match words.as_slice() {
            ["exec", "vault", "read", "-format=json", path] => ((*path).to_owned(), VaultCommand::Read),
            ["exec", "vault", "delete", path] => ((*path).to_owned(), VaultCommand::Delete),
            ["exec", "vault", "write", path, "-"] => ((*path).to_owned(), VaultCommand::Write(rest)),
            ["base64", "-d", "|", "vault", "write", path, pairs @ ..] => {
                ((*path).to_owned(), VaultCommand::WriteWithCa(pairs, rest))
            }
            _ => (ca_check_path(script)?, VaultCommand::ReadIfCaMatches(rest)),
        };
        let verb = if matches!(act, VaultCommand::Read | VaultCommand::ReadIfCaMatches(_)) { "GET" } else { "PUT" };
        if sealed {
            return Some(error(verb, &path, 503, "Vault is sealed"));
        }
        if self.keys.as_ref().is_none_or(|(_, root)| root != token) {
            return Some(error(verb, &path, 403, "permission denied\n* invalid token"));
        }
        Some(match act {
            VaultCommand::Read => self.read(&path),
            VaultCommand::Delete => {
                // With a mount goes all that is below it.
                let below = path.strip_prefix("sys/").map(|mount| format!("{mount}/")).unwrap_or_default();
                self.paths.retain(|key, _| *key != path && !key.starts_with(&below));
                success(format!("Success! Data deleted (if it existed) at: {path}\n"))
            }
            VaultCommand::Write(text) => match serde_json::from_str(text) {
                Ok(value) => self.write(&path, value),
                Err(_) => failure(1, "Failed to parse K=V data: invalid key/value pair"),
            },
            VaultCommand::WriteWithCa(pairs, ca) => self.write_with_ca(&path, pairs, ca)?,
            VaultCommand::ReadIfCaMatches(ca) => {
                let same = self.paths.get(&path).is_some_and(|v| v["kubernetes_ca_cert"] == json!(decoded(ca)));
                // The shell's test fails.
                if same { self.read(&path) } else { failure(1, "") }
            }
        })
    }

    fn is_mounted(&self, path: &str) -> bool {
        match path.split('/').collect::<Vec<_>>().as_slice() {
            ["sys", ..] => true,
            ["auth", mount, ..] => self.paths.contains_key(&format!("sys/auth/{mount}")),
            [mount, ..] => self.paths.contains_key(&format!("sys/mounts/{mount}")),
            [] => false,
        }
    }

    fn read(&self, path: &str) -> Output {
        match self.paths.get(path) {
            Some(data) => success(format!("{}\n", json!({ "request_id": "", "lease_duration": 0, "data": data }))),
            None => match path.rsplit_once('/') {
                Some(("sys/auth", name)) => error("GET", path, 400, &format!("No auth engine at {name}/")),
                Some(("sys/mounts", name)) => error("GET", path, 400, &format!("No secret engine mount at {name}/")),
                _ => failure(2, format!("No value found at {path}")),
            },
        }
    }

    fn write(&mut self, path: &str, mut value: Value) -> Output {
        if !self.is_mounted(path) {
            let why = format!("no handler for route \"{path}\". route entry not found.");
            return error("PUT", path, 404, &why);
        }
        let mount = path.strip_prefix("sys/auth/").or(path.strip_prefix("sys/mounts/"));
        if let Some(name) = mount.filter(|_| self.paths.contains_key(path)) {
            return error("PUT", path, 400, &format!("path is already in use at {name}/"));
        }
        if let Some(name) = path.strip_prefix("secret/data/") {
            let metadata = format!("secret/metadata/{name}");
            let version = self.paths.get(&metadata).and_then(|v| v["current_version"].as_u64()).unwrap_or(0);
            if value["options"]["cas"].as_u64().is_some_and(|cas| cas != version) {
                let why = "check-and-set parameter did not match the current version";
                return error("PUT", path, 400, why);
            }
            self.paths.insert(metadata, json!({ "current_version": version + 1 }));
        }
        if value["token_ttl"] == json!("1h") {
            value["token_ttl"] = json!(3600);
        }
        self.paths.insert(path.to_owned(), value);
        success(format!("Success! Data written to: {path}\n"))
    }

    fn write_with_ca(&mut self, path: &str, pairs: &[&str], ca: &str) -> Option<Output> {
        let mut value = json!({});
        for pair in pairs {
            let (key, given) = pair.split_once('=')?;
            value[key] = match given {
                "-" => json!(decoded(ca)),
                "true" => json!(true),
                other => json!(other),
            };
        }
        Some(self.write(path, value))
    }
}

enum VaultCommand<'a> {
    Read,
    Delete,
    Write(&'a str),
    /// Pairs, and stdin.
    WriteWithCa(&'a [&'a str], &'a str),
    ReadIfCaMatches(&'a str),
}

/// The path of `… [ "$(vault read -field=kubernetes_ca_cert P)" = "$ca" ] && exec vault read -format=json P`.
fn ca_check_path(script: &str) -> Option<String> {
    let (before, path) = script.rsplit_once(" && exec vault read -format=json ")?;
    let same = format!(r#"ca="$(base64 -d)"; [ "$(vault read -field=kubernetes_ca_cert {path})" = "$ca" ]"#);
    (before == same).then(|| path.to_owned())
}

fn decoded(base64: &str) -> String {
    let bytes = pki::unbase64(base64.trim()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}
