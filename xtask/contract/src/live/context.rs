//! What a clause works with in the live tier: answers by cluster and question, and questions without an answer.

use std::ops::{Deref, DerefMut};

use serde_json::Value;

use super::{Answers, Times, Unanswered, id};
use crate::rendered_state::{ClusterManifests, RenderedState};
use crate::{Clause, ClauseContext};
use model::fleet::Role;
use model::problem::At;
use plan::survey::clock_at_start;
use tool::Output;
use tool::extract::json;

pub struct LiveContext<'a> {
    pub base: ClauseContext,
    pub(crate) rendered: &'a RenderedState,
    live: &'a RenderedState,
    clusters: &'a [String],
    answers: &'a Answers,
    times: &'a Times,
    pub(super) unanswered: Vec<Unanswered>,
}

/// One cluster: as it was rendered, and as it is.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    pub rendered: &'a ClusterManifests,
    pub live: &'a ClusterManifests,
}

impl<'a> Site<'a> {
    pub fn name(&self) -> &'a str {
        &self.rendered.name
    }

    pub fn is_platform(&self) -> bool {
        self.rendered.role == Role::Platform
    }

    /// `kubectl` on this cluster, for hints.
    pub fn kubectl(&self, words: &str) -> String {
        format!("kubectl --kubeconfig out/kube/{}.yaml {words}", self.name())
    }

    /// The command that applies what was rendered for it.
    pub fn reapply(&self) -> String {
        format!("cargo xtask bootstrap --only '{}/*'", self.name())
    }
}

impl Deref for LiveContext<'_> {
    type Target = ClauseContext;

    fn deref(&self) -> &ClauseContext {
        &self.base
    }
}

impl DerefMut for LiveContext<'_> {
    fn deref_mut(&mut self) -> &mut ClauseContext {
        &mut self.base
    }
}

impl<'a> LiveContext<'a> {
    pub(super) fn new(
        clause: Clause,
        (rendered, live): (&'a RenderedState, &'a RenderedState),
        clusters: &'a [String],
        (answers, times): (&'a Answers, &'a Times),
    ) -> Self {
        let unanswered = Vec::new();
        LiveContext { base: ClauseContext::new(clause), rendered, live, clusters, answers, times, unanswered }
    }

    pub(crate) fn sites(&mut self) -> Vec<Site<'a>> {
        self.answering(|_| true)
    }

    pub(crate) fn apps(&mut self) -> Vec<Site<'a>> {
        self.answering(|cluster| cluster.role == Role::Workload)
    }

    fn answering(&mut self, wanted: fn(&ClusterManifests) -> bool) -> Vec<Site<'a>> {
        let all = self.rendered.clusters.iter().zip(&self.live.clusters);
        let asked = all.filter(|(rendered, _)| wanted(rendered) && self.clusters.contains(&rendered.name));
        let sites: Vec<Site<'a>> = asked.map(|(rendered, live)| Site { rendered, live }).collect();
        sites.into_iter().filter(|site| self.answer(site.name(), "api").is_some()).collect()
    }

    /// Whether the platform answered; nothing if it was not asked.
    pub(crate) fn platform_answers(&self) -> Option<bool> {
        let asked = self.rendered.platform().filter(|g| self.clusters.contains(&g.name))?;
        Some(self.output(&asked.name, "api").is_some_and(Output::ok))
    }

    /// A time that an answer tells, as [`clock_at_start`] makes it comparable with those of other answers.
    pub(crate) fn clock_at_start(&self, cluster: &str, what: &str, clock: u64) -> i64 {
        clock_at_start(clock, self.times.get(&id(cluster, what)).copied().unwrap_or_default())
    }

    /// The answer to a question, good or bad, without recording it.
    pub(crate) fn output(&self, cluster: &str, what: &str) -> Option<&'a Output> {
        self.answers.get(&id(cluster, what))
    }

    /// The text that a question was answered with. A missing or a bad answer is recorded.
    pub(crate) fn answer(&mut self, cluster: &str, what: &str) -> Option<&'a str> {
        match self.output(cluster, what) {
            Some(output) if output.ok() && !output.cut => {
                self.record_read(At { file: id(cluster, what).to_string(), line: None }, "");
                Some(&output.stdout)
            }
            Some(output) if output.ok() => self.no_answer(cluster, what, "the answer was too long to keep"),
            Some(output) => self.no_answer(cluster, what, output.reason_or_end()),
            None => self.no_answer(cluster, what, UNASKED),
        }
    }

    /// The same, as JSON.
    pub(crate) fn json(&mut self, cluster: &str, what: &str) -> Option<Value> {
        let text = self.answer(cluster, what)?;
        match json(text) {
            Ok(value) => Some(value),
            Err(why) => self.no_answer(cluster, what, why),
        }
    }

    /// The list that a question was answered with.
    pub(crate) fn items(&mut self, cluster: &str, what: &str) -> Option<Vec<Value>> {
        let mut list = self.json(cluster, what)?;
        match list["items"].take() {
            Value::Array(items) => Some(items),
            _ => self.no_answer(cluster, what, "the answer is not a list"),
        }
    }

    /// Records that there is no answer to be judged.
    pub(crate) fn no_answer<T>(&mut self, cluster: &str, what: &str, why: impl Into<String>) -> Option<T> {
        let (question, why) = (id(cluster, what).to_string(), why.into());
        let unanswered = Unanswered { clause: self.clause, cluster: cluster.to_owned(), question, why };
        if !self.unanswered.contains(&unanswered) {
            self.unanswered.push(unanswered);
        }
        None
    }

    /// Records a breach that a question showed.
    pub(crate) fn breach(&mut self, cluster: &str, what: &str, subject: &str, want: &str, got: &str, hint: &str) {
        let at = At { file: id(cluster, what).to_string(), line: None };
        self.breach_at(cluster, at, subject, want, got, hint);
    }
}

/// Why there is no answer to a question that was not sent.
pub(crate) const UNASKED: &str = "a question it depends on has no answer";
