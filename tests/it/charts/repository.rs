//! A chart of our own and a chart server on this machine.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use camino::Utf8PathBuf;

use crate::golden::data;
use crate::run_cli;
use crate::ui::{self, Ran};

pub const LIST: &str = include_str!("../../fixtures/charts/releases.toml");

pub const VALUES: &str = "replicas: 1\nhostNetwork: false\nresources:\n  requests:\n    memory: 64Mi\n";

pub const TEMPLATE: &str = include_str!("../../fixtures/charts/deployment.yaml");

pub struct Repository {
    _dir: tempfile::TempDir,
    pub root: Utf8PathBuf,
}

impl Repository {
    pub fn new(list: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(dir.path().canonicalize().unwrap()).unwrap();
        let repository = Repository { _dir: dir, root };
        for (path, text) in data() {
            repository.write(&path, &text);
        }
        repository.write("charts/releases.toml", list);
        repository.write("charts/tiny/values.yaml", "replicas: 2\n");
        repository
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path)).unwrap()
    }

    pub fn xtask(&self, line: &str) -> (u8, String, String) {
        let path = std::env::var("PATH").unwrap_or_default();
        let Ran { code, out, err } = ui::run(&self.root, &path, &line.split(' ').collect::<Vec<_>>());
        (code, out, err)
    }

    /// Runs it, and shows everything if it ends otherwise.
    pub fn ends(&self, line: &str, want: u8) -> String {
        let (code, out, err) = self.xtask(line);
        assert_eq!(code, want, "{line}\n{out}\n{err}");
        out + &err
    }

    /// A chart server with two versions of tiny, and a Helm that finds it under its name.
    pub fn serve(&self, helm: &Path) -> Server {
        for (version, app) in [("0.1.0", "1.0"), ("0.2.0", "2.0")] {
            self.write(
                "tiny/Chart.yaml",
                &format!(
                    "apiVersion: v2\nname: tiny\nversion: {version}\nappVersion: \"{app}\"\ndependencies:\n  \
                     - name: inner\n    alias: part\n    version: 1.0.0\n    condition: part.enabled\n"
                ),
            );
            self.write("tiny/charts/inner/Chart.yaml", "apiVersion: v2\nname: inner\nversion: 1.0.0\n");
            self.write("tiny/charts/inner/values.yaml", "port: 80\n");
            self.write("tiny/values.yaml", VALUES);
            self.write("tiny/templates/deployment.yaml", TEMPLATE);
            let folder = self.root.join("server");
            let (good, printed) = run_cli::run(run_cli::command(helm).args([
                "package",
                "--destination",
                folder.as_str(),
                self.root.join("tiny").as_str(),
            ]));
            assert!(good, "{printed}");
        }
        let server = Server::new(self.root.join("server").as_std_path());
        let (good, printed) = run_cli::run(
            run_cli::command(helm).args(["repo", "index", "server", "--url", &server.url]).current_dir(&self.root),
        );
        assert!(good, "{printed}");
        let homes =
            ["CACHE", "CONFIG", "DATA"].map(|home| format!("export HELM_{home}_HOME={}/helm\n", self.root)).concat();
        let script = format!(
            "{homes}for word; do\n  shift\n  [ \"$word\" = https://charts.test ] && word={}\n  set -- \"$@\" \"$word\"\ndone\n\
             exec '{}' \"$@\"\n",
            server.url,
            helm.display()
        );
        self.program("helm", &script);
        server
    }

    pub fn program(&self, name: &str, script: &str) {
        let path = format!("out/bin/{name}");
        self.write(&path, &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(self.root.join(path), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

pub struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn new(folder: &Path) -> Self {
        let python = run_cli::find("python3").expect("asked for before");
        let args = ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"];
        let mut command = run_cli::command(python);
        command.args(args).arg(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // `Serving HTTP on 127.0.0.1 port 41234 (http://127.0.0.1:41234/) ...`
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split(" port ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a port").to_owned();
        Server { child, url: format!("http://127.0.0.1:{port}") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// The tools, or nothing if one is missing here.
pub fn tools(helm: &str) -> Option<PathBuf> {
    run_cli::find("python3")?;
    run_cli::find(helm)
}
