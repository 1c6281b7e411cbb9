//! Tests of the simulator through its public interface: a fixture, and one module per tool. Outside of `src`, so that the
//! unit tests beside the code do not compile, optimised, the whole simulator a second time.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use sim::*;
use tool::{Call, Event, Exit, Output, TaskId, Tool, World};

mod clusters;
mod kube;
mod platform;
mod releases;
mod vms;
mod worlds;

#[derive(Clone, Default)]
pub struct Shared(pub Rc<RefCell<MemoryDisk>>);

impl Disk for Shared {
    fn read(&self, path: &str) -> Option<Rc<Vec<u8>>> {
        self.0.borrow().read(path)
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), String> {
        self.0.borrow_mut().write(path, bytes)
    }
}

pub const USER_DATA: &str = "#cloud-config
write_files:
  - {path: /usr/local/sbin/node-prep, content: x}
  - {path: /usr/local/sbin/node-state, content: x}
  - {path: /usr/local/sbin/node-hosts, content: x}
  - {path: /usr/local/sbin/node-token, content: x}
  - {path: /usr/local/sbin/node-reset, content: x}
  - {path: /usr/local/sbin/node-keep, content: x}
  - path: /etc/archipelago/prep.env
    content: |
      K8S_MINOR=v1.35
      K8S_PATCH=1.35.7
      PAUSE_IMAGE=registry.k8s.io/pause:3.10.1
runcmd:
  - [/usr/local/sbin/node-prep]
";

pub const INIT: &str = "apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens: [{token: arc002.abcdefghij012345, ttl: 2h0m0s}]
localAPIEndpoint: {advertiseAddress: IP}
nodeRegistration: {name: app1-cp, taints: []}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
clusterName: app1
kubernetesVersion: v1.35.7
controlPlaneEndpoint: app1-api:6443
networking: {podSubnet: 10.101.0.0/16, serviceSubnet: SERVICES}
";

pub struct Fixture {
    pub world: SimWorld,
    pub disk: Shared,
    /// What VMs are launched with.
    pub user_data: String,
    task: TaskId,
    /// Commands that ended while waiting for another.
    finished_early: Vec<(TaskId, Output)>,
}

impl Fixture {
    fn new() -> Self {
        Self::on(Machine::default(), Faults::none())
    }

    pub fn on(machine: Machine, faults: Faults) -> Self {
        let disk = Shared::default();
        Fixture {
            world: SimWorld::new(SimState::new(machine), faults, Box::new(disk.clone())),
            disk,
            user_data: USER_DATA.to_owned(),
            task: 0,
            finished_early: vec![],
        }
    }

    /// `'…'` keeps spaces together.
    pub fn start(&mut self, line: &str, stdin: &str) -> TaskId {
        let mut words: Vec<String> = Vec::new();
        for (n, part) in line.split('\'').enumerate() {
            if n % 2 == 1 { words.push(part.to_owned()) } else { words.extend(part.split_whitespace().map(Into::into)) }
        }
        let tool = match words.remove(0).as_str() {
            "multipass" => Tool::Multipass,
            "kubectl" => Tool::Kubectl,
            "helm" => Tool::Helm,
            "cilium" => Tool::Cilium,
            "openssl" => Tool::Openssl,
            "curl" => Tool::Curl,
            "docker" => Tool::Docker,
            _ => Tool::Builtin,
        };
        self.task += 1;
        let env = vec![("KUBECONFIG".to_owned(), "app1.yaml".to_owned())];
        self.world.start(Call { task: self.task, tool, args: words, stdin: stdin.into(), env, acts: None });
        self.task
    }

    pub fn wait_for(&mut self, task: TaskId) -> Output {
        if let Some(index) = self.finished_early.iter().position(|(finished_early, _)| *finished_early == task) {
            return self.finished_early.swap_remove(index).1;
        }
        let limit = self.world.now() + Duration::from_secs(4000);
        loop {
            match self.world.wait(Some(limit)) {
                Event::Ended(ended, output) if ended == task => return output,
                Event::Ended(ended, output) => self.finished_early.push((ended, output)),
                Event::Tick => panic!("task {task} never ended"),
                _ => {}
            }
        }
    }

    pub fn run_with_stdin(&mut self, line: &str, stdin: &str) -> Output {
        let task = self.start(line, stdin);
        self.wait_for(task)
    }

    pub fn run(&mut self, line: &str) -> Output {
        self.run_with_stdin(line, "")
    }

    pub fn ok(&mut self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.ok(), "{line}: {output:?}");
        output.stdout
    }

    pub fn fails(&mut self, line: &str, code: i32, text: &str) {
        self.fails_with_stdin(line, "", code, text);
    }

    pub fn fails_with_stdin(&mut self, line: &str, stdin: &str, code: i32, text: &str) {
        let output = self.run_with_stdin(line, stdin);
        assert_eq!(output.exit, Exit::Code(code), "{line}: {output:?}");
        assert!(output.stderr.contains(text), "{line}: {output:?}");
    }

    pub fn advance(&mut self, seconds: u64) {
        let until = self.world.now() + Duration::from_secs(seconds);
        loop {
            match self.world.wait(Some(until)) {
                Event::Tick => return,
                Event::Ended(ended, output) => self.finished_early.push((ended, output)),
                _ => {}
            }
        }
    }

    pub fn launch(&mut self, name: &str) -> Output {
        let line = format!(
            "multipass launch 24.04 --name {name} --cpus 2 --memory 3G --disk 20G --timeout 900 --cloud-init -"
        );
        let user_data = self.user_data.clone();
        self.run_with_stdin(&line, &user_data)
    }

    pub fn ip(&mut self, name: &str) -> String {
        let info = self.ok(&format!("multipass info {name} --format json"));
        let info: serde_json::Value = serde_json::from_str(&info).unwrap();
        info["info"][name]["ipv4"][0].as_str().unwrap_or_default().to_owned()
    }

    pub fn exec(&mut self, vm: &str, line: &str) -> Output {
        self.run(&format!("multipass exec -n {vm} -- {line}"))
    }

    pub fn write_file(&mut self, vm: &str, path: &str, text: &str) {
        let output =
            self.run_with_stdin(&format!("multipass exec -n {vm} -- sudo /usr/local/sbin/node-keep {path}"), text);
        assert!(output.ok(), "{output:?}");
    }

    pub fn state(&mut self, vm: &str) -> serde_json::Value {
        let output = self.exec(vm, "sudo /usr/local/sbin/node-state app1-api");
        assert!(output.ok(), "{output:?}");
        serde_json::from_str(&output.stdout).unwrap()
    }

    pub fn with_prepared_vm(services: &str) -> Self {
        Fixture::new().prepared_vm(services)
    }

    fn prepared_vm(self, services: &str) -> Self {
        let mut sim = self;
        assert!(sim.launch("app1-cp").ok());
        let ip = sim.ip("app1-cp");
        assert!(sim.exec("app1-cp", &format!("sudo /usr/local/sbin/node-hosts {ip} app1-api")).ok());
        let config = INIT.replace("IP", &ip).replace("SERVICES", services);
        sim.write_file("app1-cp", "/etc/archipelago/kubeadm-init.yaml", &config);
        sim
    }

    /// With `app1.yaml` on the disk.
    pub fn with_control_plane() -> Self {
        Self::new().control_plane()
    }

    pub fn control_plane(self) -> Self {
        let mut sim = self.prepared_vm("10.97.0.0/16");
        let init = sim.exec("app1-cp", "sudo kubeadm init --config /etc/archipelago/kubeadm-init.yaml");
        assert!(init.ok(), "{init:?}");
        assert!(sim.exec("app1-cp", "sudo touch /etc/archipelago/init.done").ok());
        sim.kubeconfig();
        sim
    }

    /// Fetches admin.conf and replaces its address, as the plan does.
    pub fn kubeconfig(&mut self) {
        let view = "sudo kubectl config view --kubeconfig /etc/kubernetes/admin.conf --raw --output json";
        let config = self.exec("app1-cp", view).stdout;
        let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
        let ip = self.ip("app1-cp");
        config["clusters"][0]["cluster"]["server"] = format!("https://{ip}:6443").into();
        config["clusters"][0]["cluster"]["tls-server-name"] = "app1-api".into();
        self.disk.0.borrow_mut().0.insert("app1.yaml".into(), config.to_string().into_bytes());
    }

    pub fn pull_cilium(&mut self) {
        self.ok("helm pull cilium --repo https://helm.cilium.io --version 1.20.0 --destination out/charts");
    }
}
