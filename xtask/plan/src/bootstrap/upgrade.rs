//! One Helm release as a step, with a remedy for each state that it can be in.
//!
//! The states that a killed Helm leaves, and their remedies, are measured on 3.18 and 4.1 with real API servers:
//!
//! | newest revision | what left it | remedy |
//! |---|---|---|
//! | none | never installed | upgrade |
//! | `pending-install` | SIGKILL in the first install | 4: remove the record, upgrade; 3: uninstall, upgrade |
//! | `pending-upgrade`, `pending-rollback` | SIGKILL in an upgrade or rollback | rollback, upgrade |
//! | `uninstalling` | SIGKILL in an uninstall | uninstall, upgrade |
//! | `failed`, the first or with our values | SIGTERM, or its time was over | upgrade |
//! | `failed`, with others | the same, before the values changed | 4: upgrade; 3: rollback, upgrade |
//! | `deployed`, and objects of it are gone | somebody deleted them | upgrade: it makes what is missing |
//! | not ours | a person's upgrade or rollback, or our own repair was cut off | upgrade |
//!
//! Helm 3 compares with the last *deployed* revision, so what a cancelled one wrote stays on the objects; a rollback
//! compares with the cancelled one. Uninstalling takes the volumes of Deployments along; Helm 4 takes over what is
//! there once the record of the install is gone.

use super::super::{Expect, Step, StepKey};
use model::release::Chart;
use model::token::digest;
use tool::helm::{Helm, Release};
use tool::kubectl::Kubectl;
use tool::{Command, Extractor};

pub(crate) struct Upgrade<'a> {
    pub release: Release<'a>,
    pub archive: &'a str,
    pub values: &'a str,
    /// What its labels must be, as the line of a revision has them behind the chart: `DIGEST ours PEERS`.
    pub labels: String,
}

impl Upgrade<'_> {
    fn chart(&self) -> &Chart {
        self.release.chart
    }

    fn kubectl(&self) -> Kubectl {
        Kubectl::on(self.release.kubeconfig)
    }

    fn digest(&self) -> String {
        digest(self.values)
    }

    /// The newest revision is like this.
    pub fn newest(&self, like: &str) -> Expect {
        Expect::Newest(self.release.id(), like.to_owned())
    }

    /// Its newest revision has this status, and is of this archive and these labels.
    fn is(&self, status: &str) -> Expect {
        let version = self.chart().version.replace('.', r"\.");
        self.newest(&format!(r"^\d+ {status} {}-{version} {}$", self.chart().chart, self.labels))
    }

    /// The wanted revision is deployed, and what it brings is there: objects may be deleted later.
    pub fn deployed(&self) -> Expect {
        let chart = self.chart();
        let row = |object: &String| match object.split_once('/').unwrap_or_default() {
            ("crd", name) => format!("customresourcedefinition.apiextensions.k8s.io/{name}"),
            ("secret", name) => format!("{} secret/{name}", chart.namespace),
            (workload, name) => format!("{} {workload}.apps/{name}", chart.namespace),
        };
        let objects: Vec<String> = chart.ready.iter().chain(&chart.brings).map(row).collect();
        let there = (!objects.is_empty()).then_some(Expect::Rows(objects));
        Expect::All([self.is("deployed")].into_iter().chain(there).collect())
    }

    /// An upgrade, and before it the number that its revision will have.
    pub fn numbered(&self, upgrade: Command) -> [Command; 2] {
        let number = Extractor::NextRevision(self.release.id());
        [self.kubectl().revisions().capture(self.release.next(), number), upgrade]
    }

    fn upgrade(&self, meshes: bool) -> [Command; 2] {
        let (release, archive, values, digest) = (&self.release, self.archive, self.values, self.digest());
        self.numbered(match meshes {
            true => release.upgrade_without_peers(archive, values, &digest),
            false => release.upgrade(archive, values, &digest),
        })
    }

    /// The step that installs or upgrades it. One that can have peers of a mesh keeps them (ADR-0008).
    pub fn step(&self, id: StepKey, title: String, meshes: bool) -> Step {
        let step = Step::new(id, title, self.kubectl().revisions(), self.deployed());
        let step = self.torn_down(step, meshes);
        let step = if meshes { self.meshed(step) } else { step };
        let upgrade = self.upgrade(meshes);
        let plain = |command: Command| [command].into_iter().chain(upgrade.clone());
        let mut step = step.remedy("pending upgrade", self.newest(PENDING), plain(self.release.rollback()));
        if self.release.helm == Helm::V3 {
            step = step.remedy("cancelled", self.cancelled(r"\S+"), plain(self.release.rollback()));
        }
        step.remedy("changed by hand", self.newest(r"^\d+ (deployed|failed) \S+ \S+ foreign"), upgrade.clone())
            .act(upgrade)
            .undo([self.release.uninstall()])
    }

    /// What was never there as a whole, or is half gone.
    fn torn_down(&self, step: Step, meshes: bool) -> Step {
        let chart = self.chart();
        let forget = match self.release.helm {
            Helm::V4 => self.kubectl().forget_install(&chart.namespace, &chart.placement.name),
            Helm::V3 => self.release.uninstall(),
        };
        let after = |command: Command| [command].into_iter().chain(self.upgrade(meshes));
        step.remedy("pending install", self.newest(r"^\d+ pending-install "), after(forget)).remedy(
            "half uninstalled",
            self.newest(r"^\d+ uninstalling "),
            after(self.release.uninstall()),
        )
    }

    /// An upgrade to values without peers would take the cluster out of the mesh.
    fn meshed(&self, step: Step) -> Step {
        let keeping = self.release.upgrade_keeping_peers(self.archive, self.values, &self.digest());
        let keeping = self.numbered(keeping);
        let back = [self.release.rollback()].into_iter().chain(keeping.clone());
        let with_peers = |like: &str| self.newest(&format!(r"{like}.* [^-\s]\S*$"));
        let mut step = step.remedy("pending upgrade of a mesh", with_peers(PENDING), back.clone());
        if self.release.helm == Helm::V3 {
            step = step.remedy("cancelled in a mesh", self.cancelled(r"[^-\s]\S*$"), back);
        }
        step.remedy("changed by hand in a mesh", with_peers(r"^\d+ (deployed|failed) \S+ \S+ foreign"), keeping.clone())
            .remedy("in a mesh", with_peers(r"^\d+ (deployed|failed) "), keeping)
    }

    /// Failed over an earlier revision, and with other values than those wanted now.
    pub fn cancelled(&self, mesh: &str) -> Expect {
        let later = self.newest(&format!(r"^([2-9]|[1-9]\d+) failed \S+ \S+ \S+ {mesh}"));
        Expect::All(vec![later, self.is("failed").negated()])
    }
}

/// Somebody was killed while going from one revision to another.
pub(crate) const PENDING: &str = r"^\d+ pending-(upgrade|rollback) ";
