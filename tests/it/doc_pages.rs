//! `docs/status-and-doctor.md` is made here and compared; `INSTA_UPDATE=always` writes it.
#![expect(clippy::disallowed_methods, reason = "compares, or writes, a page of the repository")]

use std::collections::BTreeSet;

use serde_json::json;

use crate::fixtures::connected;
use crate::golden;
use crate::manual_changes::types;
use crate::ui::Repo;

const PAGE: &str = "docs/status-and-doctor.md";

const TROUBLE: &str = "docs/troubleshooting.md";
const TROUBLE_KO: &str = "docs/troubleshooting.ko.md";

const OPENING: &str = "\
# What status and doctor show

Made by a test from the embedded world (`cargo test -p tests --test it doc_pages`), which fails when a line of it is no
longer true. `status` is shown whole once; of the other states, the lines that are not on that first screen. In the
embedded world a hint ends in `--simulate`; on machines it does not.
What to do is in [Troubleshooting](troubleshooting.md).
";

type State = (&'static str, fn(&Repo));

const STATES: &[State] = &[
    ("A worker is stopped", |repo| repo.edit_vms(|vms| vms["app1-w1"]["power"] = json!("Stopped"))),
    ("A control plane is stopped", |repo| repo.edit_vms(|vms| vms["app1-cp"]["power"] = json!("Stopped"))),
    ("A worker is deleted, not purged", |repo| repo.edit_vms(|vms| vms["app2-w1"]["power"] = json!("Deleted"))),
    ("The platform is down", |repo| {
        repo.edit_vms(|vms| ["mgmt-cp", "mgmt-w1"].iter().for_each(|vm| vms[*vm]["power"] = json!("Stopped")));
    }),
    ("A control plane came back with another address", |repo| {
        repo.must("stop --simulate -q");
        repo.edit_vms(|vms| vms["app1-cp"]["ip"] = json!("192.168.252.77"));
        for part in ["mgmt/*", "app2/*", "*/launch"] {
            assert_eq!(repo.run(&format!("start --simulate -q --only {part}")).code, 0, "{part}");
        }
    }),
    ("A release was changed by hand", |repo| {
        let line = "helm upgrade --install loki out/charts/loki-18.11.0.tgz --kubeconfig out/kube/mgmt.yaml \
            --namespace monitoring --reuse-values --set extra.word=x";
        assert!(types(repo, line).ok());
    }),
    ("A clock is two hours behind", |repo| repo.delay_clock("app2-cp", 7200)),
    ("A secret can be read by others", |repo| {
        use std::os::unix::fs::PermissionsExt;
        let secret = repo.root().join("out/simulation/secrets/mesh-ca.key");
        std::fs::set_permissions(secret, std::fs::Permissions::from_mode(0o644)).expect("opened");
    }),
];

fn block(command: &str, printed: &str) -> String {
    format!("\n```text\n$ cargo xtask {command}\n{}\n```\n", printed.trim_end())
}

/// Lines of a screen that are not on the first one, below the head of their paragraph.
fn new_lines(screen: &str, first: &str) -> String {
    let known: BTreeSet<&str> = first.lines().collect();
    let mut out = String::new();
    for paragraph in screen.split("\n\n") {
        let fresh: Vec<&str> = paragraph.lines().filter(|line| !known.contains(line)).collect();
        let head = paragraph.lines().next().filter(|head| known.contains(head) && !fresh.is_empty());
        head.into_iter().chain(fresh).for_each(|line| out.push_str(&format!("{line}\n")));
    }
    out
}

fn state(repo: &Repo, title: &str, args: &str, first: &str) -> String {
    let (status, doctor) =
        (repo.run(&format!("status --simulate{args}")), repo.run(&format!("doctor --simulate{args}")));
    let shown = match new_lines(&status.out, first) {
        none if none.is_empty() => "\n`status` is the same: it looks at machines and clusters.\n".to_owned(),
        lines => block("status", &lines),
    };
    assert!(doctor.code == 1, "{title}: {}", doctor.out);
    format!("\n## {title}\n{shown}{}", block("doctor", &doctor.out))
}

/// The pins of another fleet: Kubernetes is to be raised.
fn raised(repo: &Repo) -> &'static str {
    let text = golden::read("infra/fleet.toml").replace("1.35.7", "1.35.8");
    std::fs::write(repo.root().join("to.toml"), text).expect("written");
    " --fleet to.toml"
}

fn page() -> String {
    let repo = Repo::new();
    let nothing = repo.run("status --simulate");
    assert_eq!(nothing.code, 1);
    let end: Vec<&str> = nothing.out.lines().rev().take(2).collect();
    let repo = connected();
    let whole = repo.run("status --simulate");
    assert_eq!(whole.code, 0, "{}", whole.out);
    let mut out = OPENING.to_owned();
    out.push_str(&format!("\n## All is well\n{}", block("status", &whole.out)));
    out.push_str(&block("doctor", &repo.run("doctor --simulate").out));
    out.push_str(
        "\n## Before the first bootstrap\n\nThe last two lines; everything above them is `absent` or `unknown`.\n",
    );
    out.push_str(&block("status", &format!("{}\n{}", end[1], end[0])));
    for (title, befalls) in STATES {
        let other = repo.copy();
        befalls(&other);
        out.push_str(&state(&other, title, "", &whole.out));
    }
    let args = raised(&repo);
    out.push_str(&state(&repo, "A newer Kubernetes is pinned and not there yet", args, &whole.out));
    out
}

#[test]
fn page_shows_actual_output() {
    let (made, path) = (page(), golden::root().join(PAGE));
    if std::env::var("INSTA_UPDATE").is_ok_and(|how| how == "always") {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, &made).expect("written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    for (line, (made, there)) in made.lines().zip(there.lines()).enumerate() {
        assert_eq!(made, there, "{PAGE}:{}", line + 1);
    }
    assert_eq!(made.len(), there.len(), "{PAGE} ends elsewhere");
}

#[test]
fn quoted_messages_exist() {
    let mut sources = String::new();
    for folder in ["xtask", "tests/it", "tests/snapshots", "infra/node", "charts"] {
        gather(&golden::root().join(folder), &mut sources);
    }
    gather(&golden::root().join(PAGE), &mut sources);
    let mut strange: Vec<String> = Vec::new();
    for page in [TROUBLE, TROUBLE_KO, "README.md", "README.ko.md"] {
        for (row, seen) in quoted(&golden::read(page)) {
            let parts = seen.split('…').map(str::trim).filter(|part| !part.is_empty());
            strange.extend(parts.filter(|part| !sources.contains(*part)).map(|p| format!("{page}: `{p}` in: {row}")));
        }
    }
    assert!(strange.is_empty(), "{}", strange.join("\n"));
}

#[test]
fn both_languages_quote_the_same_messages() {
    for (english, korean) in [(TROUBLE, TROUBLE_KO), ("README.md", "README.ko.md")] {
        let seen = |page| quoted(&golden::read(page)).into_iter().map(|(_, seen)| seen).collect::<Vec<_>>();
        assert_eq!(seen(english), seen(korean), "{english} and {korean}");
    }
}

/// Texts in the middle column of tables of three columns whose head says that something is seen.
fn quoted(page: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        inside = line.starts_with('|') && (inside || line.contains("you see") || line.contains("보이는 것"));
        if inside && cells.len() == 3 {
            let spans = cells[1].split('`').skip(1).step_by(2);
            out.extend(spans.map(|span| (cells[0].trim().to_owned(), span.to_owned())));
        }
    }
    out
}

fn gather(path: &std::path::Path, into: &mut String) {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).expect("a folder").flatten();
        entries.for_each(|entry| gather(&entry.path(), into));
    } else if path.is_file() {
        into.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()));
    }
}

#[test]
fn quotes_are_found() {
    let page = "| what happened | you see | do |\n|---|---|---|\n| a | `x … y`, `z` | `cmd` |\n\n| a | `no` | b |\n";
    let found: Vec<String> = quoted(page).into_iter().map(|(_, seen)| seen).collect();
    assert_eq!(found, ["x … y", "z"]);
    assert!(quoted(&golden::read("README.md")).len() >= 10);
    assert!(quoted(&golden::read(TROUBLE)).len() >= 50);
}
