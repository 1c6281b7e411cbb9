//! What a clause works with in the live tier: answers by cluster and question, and what could not be asked.
//! Knows nothing of what a rule is about.

use serde_json::Value;

use super::super::evidence::{Evidence, Ground};
use super::super::{Case, Clause, Verdict};
use super::{Answers, Silence};
use model::fleet::Role;
use plan::live::id;
use tool::Output;
use tool::expect::ending;
use tool::reading::json;

/// One clause on trial before running clusters.
pub(super) struct Bench<'a> {
    /// Notes what is found.
    pub case: Case,
    /// What was rendered.
    pub rendered: &'a Evidence,
    /// What there is.
    pub live: &'a Evidence,
    clause: Clause,
    clusters: &'a [String],
    answers: &'a Answers,
    silent: Vec<Silence>,
}

/// One cluster of the trial: as it was rendered, and as it is.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    /// As it was rendered.
    pub rendered: &'a Ground,
    /// As it is.
    pub live: &'a Ground,
}

impl<'a> Site<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        &self.rendered.name
    }

    /// Whether it is the platform.
    pub fn is_platform(&self) -> bool {
        self.rendered.role == Role::Platform
    }
}

impl<'a> Bench<'a> {
    pub fn new(
        clause: Clause,
        rendered: &'a Evidence,
        live: &'a Evidence,
        clusters: &'a [String],
        answers: &'a Answers,
    ) -> Self {
        Bench { case: Case::new(clause), rendered, live, clause, clusters, answers, silent: Vec::new() }
    }

    /// The clusters that answer. Of one that does not, that is said once.
    pub fn sites(&mut self) -> Vec<Site<'a>> {
        let all = self.rendered.grounds.iter().zip(&self.live.grounds);
        let asked = all.filter(|(rendered, _)| self.clusters.contains(&rendered.name));
        let sites: Vec<Site<'a>> = asked.map(|(rendered, live)| Site { rendered, live }).collect();
        sites.into_iter().filter(|site| self.said(site.name(), "api").is_some()).collect()
    }

    /// The app clusters that answer. Of the platform nothing is said.
    pub fn apps(&mut self) -> Vec<Site<'a>> {
        let all = self.rendered.grounds.iter().zip(&self.live.grounds);
        let asked = all.filter(|(g, _)| g.role == Role::Workload && self.clusters.contains(&g.name));
        let sites: Vec<Site<'a>> = asked.map(|(rendered, live)| Site { rendered, live }).collect();
        sites.into_iter().filter(|site| self.said(site.name(), "api").is_some()).collect()
    }

    /// Whether the platform was asked and did not answer: what waits for it then waits rightly.
    pub fn platform_away(&self) -> bool {
        self.platform().is_some_and(|answers| !answers)
    }

    /// Whether the platform was asked and answered.
    pub fn platform_answers(&self) -> bool {
        self.platform().is_some_and(|answers| answers)
    }

    fn platform(&self) -> Option<bool> {
        let asked = self.rendered.platform().filter(|g| self.clusters.contains(&g.name))?;
        Some(self.output(&asked.name, "api").is_some_and(Output::ok))
    }

    /// The answer to a question, good or bad, without a note.
    pub fn output(&self, cluster: &str, what: &str) -> Option<&'a Output> {
        self.answers.get(&id(cluster, what))
    }

    /// What a question was answered with. A missing or a bad answer is noted.
    pub fn said(&mut self, cluster: &str, what: &str) -> Option<&'a str> {
        let question = id(cluster, what);
        let output = self.answers.get(&question);
        match output {
            Some(output) if output.ok() && !output.cut => {
                self.case.asked(question.as_str());
                Some(&output.stdout)
            }
            Some(output) if output.ok() => self.unheard(cluster, what, "the answer was too long to keep".to_owned()),
            Some(output) => self.unheard(cluster, what, reason(output)),
            None => self.unheard(cluster, what, "what it depends on has no answer".to_owned()),
        }
    }

    /// The same, as JSON.
    pub fn json(&mut self, cluster: &str, what: &str) -> Option<Value> {
        let text = self.said(cluster, what)?;
        match json(text) {
            Ok(value) => Some(value),
            Err(why) => self.unheard(cluster, what, why),
        }
    }

    /// The list that a question was answered with.
    pub fn items(&mut self, cluster: &str, what: &str) -> Option<Vec<Value>> {
        let list = self.json(cluster, what)?;
        match list["items"].as_array() {
            Some(items) => Some(items.clone()),
            None => self.unheard(cluster, what, "the answer is no list".to_owned()),
        }
    }

    /// Notes that there is no answer to be judged.
    pub fn unheard<T>(&mut self, cluster: &str, what: &str, why: String) -> Option<T> {
        let question = id(cluster, what).to_string();
        let silence = Silence { clause: self.clause, cluster: cluster.to_owned(), question, why };
        if !self.silent.contains(&silence) {
            self.silent.push(silence);
        }
        None
    }

    /// Notes a breach that a question showed.
    pub fn breach(&mut self, cluster: &str, what: &str, subject: &str, want: &str, got: &str, hint: &str) {
        self.case.seen(cluster, id(cluster, what).as_str(), subject, want, got, hint);
    }

    /// The verdict, and what could not be asked.
    pub fn close(self) -> (Verdict, Vec<Silence>) {
        (self.case.close().0, self.silent)
    }
}

/// Why a command gave no answer: its last words, or how it ended.
pub(super) fn reason(output: &Output) -> String {
    let last = output.stderr.lines().rev().map(str::trim).find(|line| !line.is_empty());
    let said = last.map(|line| line.trim_start_matches("error: ").trim_start_matches("Error: ").to_owned());
    said.unwrap_or_else(|| ending(&output.exit))
}
