//! `tools install` with real archives from a folder.
#![expect(clippy::disallowed_methods, reason = "tests make archives and look at what lands on disk")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use camino::Utf8Path;

use crate::golden;
use crate::run_cli;
use crate::ui::{Repo, settings};
use model::fleet::binaries::{self, PLATFORMS};
use plan::{text, tools};

/// A machine with curl and tar, and a server with one archive. Its `helm` says that it is `version`.
struct Bench {
    repo: Repo,
    digest: String,
}

impl Bench {
    fn new(version: &str) -> Self {
        let bench = Bench { repo: Repo::new(), digest: String::new() };
        let root = bench.root();
        for folder in ["bin", "served", "build/inner"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        script(&root.join("build/inner/helm"), &format!("echo v{version}"));
        let archive = root.join("served/helm-v4.1.4.tar.gz");
        let packed = run_cli::run(
            run_cli::command("tar").arg("-czf").arg(&archive).arg("-C").arg(root.join("build")).arg("inner/helm"),
        );
        assert!(packed.0, "{}", packed.1);
        let (_, sum) = run_cli::run(run_cli::command("sha512sum").arg(&archive));
        let digest = sum.split(' ').next().unwrap().to_owned();
        // `--output FILE URL` are the last three words.
        let serve = format!(
            "[ \"$1\" = --version ] && exit 0\nwhile [ $# -gt 2 ]; do shift; done\nmkdir -p \"${{1%/*}}\"\n\
                             echo asked >> {root}/asked\ncp {root}/served/\"${{2##*/}}\" \"$1\""
        );
        script(&root.join("bin/curl"), &serve);
        Bench { digest, ..bench }
    }

    fn root(&self) -> &Utf8Path {
        self.repo.root()
    }

    /// Replaces the list of tools by one with this digest.
    fn pins(&self, digest: &str) {
        let infra = self.root().join("infra");
        fs::remove_file(&infra).unwrap_or_else(|_| fs::remove_dir_all(&infra).unwrap());
        fs::create_dir(&infra).unwrap();
        for entry in fs::read_dir(golden::root().join("infra")).unwrap() {
            let entry = entry.unwrap();
            symlink(entry.path(), infra.as_std_path().join(entry.file_name())).unwrap();
        }
        fs::remove_file(infra.join("tools.toml")).unwrap();
        let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
        let list = format!(
            "[[tool]]\nname = \"helm\"\nversion = \"4.1.4\"\npublished = \"https://tools.test\"\n[[tool.archive]]\n\
             platform = \"{platform}\"\nurl = \"https://tools.test/helm-v4.1.4.tar.gz\"\nsha512 = \"{digest}\"\n\
             member = \"inner/helm\"\n"
        );
        fs::write(infra.join("tools.toml"), list).unwrap();
    }

    fn install(&self) -> crate::ui::Ran {
        self.repo.run_with(&format!("{}/bin:/usr/bin:/bin", self.root()), "tools install --explain")
    }

    fn downloads(&self) -> usize {
        fs::read_to_string(self.root().join("asked")).map_or(0, |asked| asked.lines().count())
    }
}

fn script(path: &Utf8Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn pinned_tool_is_installed_below_out_bin() {
    let bench = Bench::new("4.1.4");
    bench.pins(&bench.digest);
    let ran = bench.install();
    assert_eq!(ran.code, 0, "{}", ran.err);
    let landed = bench.root().join("out/bin/helm");
    assert_eq!(run_cli::run(&mut run_cli::command(&landed)), (true, "v4.1.4\n".into()));
    let again = bench.install();
    assert!(again.code == 0 && again.err.contains("nothing to do"), "{}", again.err);
    assert_eq!(bench.downloads(), 1);
}

#[test]
fn archive_with_another_digest_is_not_unpacked() {
    let bench = Bench::new("4.1.4");
    bench.pins(&"0".repeat(128));
    let ran = bench.install();
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("want sha512:000000") && ran.err.contains(&bench.digest), "{}", ran.err);
    assert!(!bench.root().join("out/bin").exists() && !bench.root().join("out/tools/helm-4.1.4/inner").exists());
}

#[test]
fn wrong_tool_in_the_archive_is_a_failure() {
    let bench = Bench::new("4.1.5");
    bench.pins(&bench.digest);
    let ran = bench.install();
    assert!(ran.code == 1 && ran.err.contains("tools/helm"), "{}", ran.err);
}

#[test]
fn install_plan_of_every_platform() {
    let (fleet, _) = golden::load("infra/fleet.toml");
    let list = binaries::load("infra/tools.toml", &golden::read("infra/tools.toml"), &fleet).unwrap();
    for platform in PLATFORMS {
        let plan = text::print(&tools::plan(&fleet, &list, platform));
        settings().bind(|| insta::assert_snapshot!(format!("tools-install-{platform}"), plan));
    }
}

#[test]
fn simulated_install_names_tools_it_cannot_install() {
    let repo = Repo::new();
    let first = repo.must("tools install --simulate");
    assert!(first.err.contains("Done tools/kubectl"), "{}", first.err);
    let again = repo.run("tools install --simulate");
    assert!(again.err.contains("nothing to do"), "{}", again.err);
}
