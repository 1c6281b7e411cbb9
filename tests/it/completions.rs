//! Completions as a real shell asks for them.
#![expect(clippy::disallowed_methods, reason = "writes a `cargo` for the shell")]

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::ui::Repo;

/// What bash offers for the last of these words.
fn offered(repo: &Repo, words: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let cargo = folder.path().join("cargo");
    let program = env!("CARGO_BIN_EXE_xtask_with_fakes");
    let script = format!("#!/bin/sh\n[ \"$1 $2\" = '--quiet xtask' ] && shift 2\nexec {program} \"$@\"\n");
    std::fs::write(&cargo, script).expect("written");
    std::fs::set_permissions(&cargo, PermissionsExt::from_mode(0o755)).expect("executable");
    let last = words.len() - 1;
    let script = format!(
        "_cargo() {{ COMPREPLY=(of-cargo); }}; complete -F _cargo cargo; eval \"$(cargo --quiet xtask completions bash)\"
         COMP_WORDS=({}); COMP_CWORD={last}; _archipelago cargo '{}' '{}'
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        words[last],
        words[last - 1]
    );
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let ran = Command::new("bash").args(["-c", &script]).current_dir(repo.root()).env("PATH", path).output();
    let ran = ran.expect("bash");
    let printed = String::from_utf8(ran.stdout).expect("UTF-8");
    assert!(ran.status.success() && ran.stderr.is_empty(), "{}", String::from_utf8_lossy(&ran.stderr));
    printed.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_behind_cargo_xtask() {
    let repo = Repo::new();
    for (words, want) in [
        (&["cargo", "xtask", "boot"][..], &["bootstrap"][..]),
        (&["cargo", "xtask", "mesh-connect", "--cluster", "app"], &["app1", "app2"]),
        (&["cargo", "xtask", "bootstrap", "--only", "app1/cp/i"], &["app1/cp/init"]),
        (&["cargo", "xtask", "logs", "app1/cp/i"], &["app1/cp/init"]),
        (&["cargo", "xtask", "charts", "bump", "vau"], &["vault"]),
        (&["cargo", "xtask", "apply", "vault", "lok"], &["loki"]),
        (&["cargo", "xtask", "access", "g"], &["grafana"]),
        (&["cargo", "xtask", "plan", "up"], &["upgrade"]),
        (&["cargo", "xtask", "status", "--sim"], &["--simulate"]),
        (&["cargo", "xtask", "status", "-o", "j"], &["json"]),
        (&["cargo", "bu"], &["of-cargo"]),
    ] {
        assert_eq!(offered(&repo, words), want, "{words:?}");
    }
    let commands = offered(&repo, &["cargo", "xtask", "''"]);
    assert!(commands.len() > 20, "{commands:?}");
}
