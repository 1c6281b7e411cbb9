//! Vault command lines, inside its pod. Keys and tokens are passed by stdin, never as arguments. `VAULT_ADDR` is set by
//! the chart; the exit code is that of the remote command.

use serde_json::Value;

use super::kubectl::Kubectl;
use super::{Command, Extractor};
use model::token::secret;

/// One share: five in one folder would protect nothing (ADR-0018).
pub const UNSEAL_KEY: &str = "vault-unseal-key";
pub const ROOT_TOKEN: &str = "vault-root-token";

/// The output of `operator init` until it is used, on the volume that the chart mounts.
const ANSWER: &str = "/vault/data/archipelago-init.json";
/// Reads the token from the first line; `read` consumes no byte more.
const TOKEN: &str = "read -r VAULT_TOKEN; export VAULT_TOKEN;";

#[derive(Debug, Clone)]
pub struct Vault {
    kubectl: Kubectl,
    namespace: String,
    pod: String,
}

impl Vault {
    pub fn of(kubectl: Kubectl, namespace: &str, release: &str) -> Self {
        Vault { kubectl, namespace: namespace.to_owned(), pod: format!("{release}-0") }
    }

    fn ask(&self, words: &[&str]) -> Command {
        self.kubectl.exec(&self.namespace, &self.pod, "vault", words)
    }

    fn act(&self, words: &[&str]) -> Command {
        Command { mutates: true, ..self.ask(words) }
    }

    fn with_stdin(&self, words: &[&str], input: String) -> Command {
        self.kubectl.exec_fed(&self.namespace, &self.pod, "vault", words).stdin_text(input)
    }

    /// `initialized` and `sealed`, as JSON. `vault status` ends with 2 while it is sealed, and 1 if it cannot tell:
    /// <https://developer.hashicorp.com/vault/docs/commands/status>.
    pub fn status(&self) -> Command {
        self.ask(&["sh", "-c", "vault status -format=json || [ $? -eq 2 ]"])
    }

    /// Creates and prints the keys, which is possible once. A lost output would be lost for good, so it is written to Vault's
    /// volume first, until [`Vault::forget`].
    pub fn init(&self) -> Command {
        let init = "vault operator init -key-shares=1 -key-threshold=1 -format=json";
        let script = format!("umask 077; {init} >{ANSWER}.new && mv {ANSWER}.new {ANSWER} && cat {ANSWER}");
        telling_keys(self.act(&["sh", "-c", &script]))
    }

    /// Prints the keys from the volume; exit 1 if they are not there.
    pub fn keys(&self) -> Command {
        telling_keys(self.ask(&["cat", ANSWER]))
    }

    /// Exit 0 if the keys are not on the volume.
    pub fn forgotten(&self) -> Command {
        self.ask(&["test", "!", "-e", ANSWER])
    }

    pub fn forget(&self) -> Command {
        self.act(&["rm", "-f", ANSWER])
    }

    pub fn unseal(&self) -> Command {
        let key = serde_json::json!({ "key": secret(UNSEAL_KEY) });
        Command { mutates: true, ..self.with_stdin(&["vault", "write", "sys/unseal", "-"], format!("{key}\n")) }
    }

    /// JSON with `data`; exit 2 if there is nothing.
    pub fn read(&self, path: &str) -> Command {
        let script = format!("{TOKEN} exec vault read -format=json {path}");
        self.with_stdin(&["sh", "-c", &script], format!("{}\n", secret(ROOT_TOKEN)))
    }

    pub fn write(&self, path: &str, value: &Value) -> Command {
        let script = format!("{TOKEN} exec vault write {path} -");
        let input = format!("{}\n{value}\n", secret(ROOT_TOKEN));
        Command { mutates: true, ..self.with_stdin(&["sh", "-c", &script], input) }
    }

    /// Unmounts, or deletes a policy. What is not there is no error.
    pub fn delete(&self, path: &str) -> Command {
        let script = format!("{TOKEN} exec vault delete {path}");
        Command { mutates: true, ..self.with_stdin(&["sh", "-c", &script], format!("{}\n", secret(ROOT_TOKEN))) }
    }

    /// The configuration of an auth mount, provided that it trusts this CA (a secret: base64 of PEM).
    pub fn read_trust(&self, mount: &str, ca: &str) -> Command {
        let config = format!("auth/{mount}/config");
        let same = format!(r#"ca="$(base64 -d)"; [ "$(vault read -field=kubernetes_ca_cert {config})" = "$ca" ]"#);
        let script = format!("{TOKEN} {same} && exec vault read -format=json {config}");
        self.with_stdin(&["sh", "-c", &script], trust(ca))
    }

    /// Configures address and CA of an auth mount's Kubernetes API. The caller's own token is then reviewed
    /// (`disable_local_ca_jwt` and no reviewer), so Vault keeps no credential of that cluster.
    pub fn write_trust(&self, mount: &str, host: &str, ca: &str) -> Command {
        let values = format!("kubernetes_host={host} disable_local_ca_jwt=true kubernetes_ca_cert=-");
        let script = format!("{TOKEN} base64 -d | vault write auth/{mount}/config {values}");
        Command { mutates: true, ..self.with_stdin(&["sh", "-c", &script], trust(ca)) }
    }
}

fn telling_keys(command: Command) -> Command {
    command
        .capture_secret(UNSEAL_KEY, Extractor::Pointer("/unseal_keys_b64/0".into()))
        .capture_secret(ROOT_TOKEN, Extractor::Pointer("/root_token".into()))
}

fn trust(ca: &str) -> String {
    format!("{}\n{}\n", secret(ROOT_TOKEN), secret(ca))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::token::Token;

    #[test]
    fn keys_and_tokens_come_by_input_alone() {
        let vault = Vault::of(Kubectl::on("out/kube/mgmt.yaml"), "vault", "vault");
        let value = serde_json::json!({"password": secret("sample-password")});
        let commands = [
            vault.status(),
            vault.init(),
            vault.unseal(),
            vault.read("sys/auth/app1"),
            vault.write("secret/data/sample", &value),
            vault.read_trust("app1", "app1.ca"),
            vault.write_trust("app1", "https://<fact:app1.cp.ip>:6443", "app1.ca"),
        ];
        for command in &commands {
            assert!(!command.arg_tokens().iter().any(|t| matches!(t, Token::Secret(_))), "{command}");
            let told = matches!(command.stdin, super::super::Stdin::Text(_));
            assert_eq!(told, command.args.iter().any(|a| a == "--stdin"), "{command}");
        }
        assert!(vault.init().sensitive() && vault.keys().sensitive());
        let changes: Vec<bool> = commands.iter().map(|c| c.mutates).collect();
        assert_eq!(changes, [false, true, true, false, true, false, true]);
    }
}
