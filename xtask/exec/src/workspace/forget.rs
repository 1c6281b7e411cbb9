//! Takes away what `out/` holds of clusters that are gone: kubeconfigs, secrets, and at the end the story itself.

use camino::Utf8PathBuf;

use super::Workspace;
use model::problem::Problem;

/// What is remembered from one run to the next: the journal, the embedded world, and that a drill was cut off.
const STORY: [&str; 3] = ["journal.jsonl", "world.json", "drill.json"];

impl Workspace {
    /// Files that are kept of a cluster, by name; of all of them and of what they share if it is `.`.
    pub fn kept_of(&self, cluster: &str) -> Vec<String> {
        self.files_of(cluster).iter().map(|path| self.shown(path).to_owned()).collect()
    }

    /// Removes them. What is removed is still scrubbed from this run's logs.
    ///
    /// # Errors
    /// The disk says no.
    pub fn forget(&self, cluster: &str) -> Result<(), Problem> {
        self.files_of(cluster).iter().try_for_each(|path| self.remove(path))
    }

    /// Ends the story: the next run begins from nothing.
    ///
    /// # Errors
    /// The disk says no.
    pub fn forget_story(&self) -> Result<(), Problem> {
        STORY.iter().try_for_each(|name| self.remove(&self.out.join(name)))
    }

    /// Removes one file below `out/`, if it is there.
    ///
    /// # Errors
    /// The path leads out of `out/`, or the disk says no.
    pub fn lift(&self, path: &str) -> Result<(), Problem> {
        self.remove(&self.below(path)?)
    }

    /// A secret belongs to a cluster by its first word, `app1.join-secret`; a kubeconfig by its name.
    fn files_of(&self, cluster: &str) -> Vec<Utf8PathBuf> {
        let belongs = |folder: &str, name: &str| match folder {
            _ if cluster == "." => true,
            "kube" => name.strip_suffix(".yaml") == Some(cluster),
            _ => name.split_once('.').is_some_and(|(first, _)| first == cluster),
        };
        // A folder that is a link to somewhere else holds nothing of ours.
        let inside = |folder: &&str| self.stays_inside(&self.out.join(folder));
        let files = ["kube", "secrets"].into_iter().filter(inside).flat_map(|folder| {
            let (path, names) = (self.out.join(folder), self.names_in(&self.out.join(folder)));
            let ours = names.into_iter().filter(move |name| belongs(folder, name));
            ours.map(move |name| path.join(name))
        });
        let mut files: Vec<Utf8PathBuf> = files.collect();
        files.sort();
        files
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::scratch;

    #[test]
    fn a_cluster_is_forgotten_alone() {
        let (_dir, mut space) = scratch();
        space.keep_secrets(&[("app1.ca", "x"), ("app12.ca", "x"), ("mesh-ca.key", "x")]).unwrap();
        space.keep("kube/app1.yaml", b"x").unwrap();
        space.keep("kube/app12.yaml", b"x").unwrap();
        assert_eq!(space.kept_of("app1"), ["out/kube/app1.yaml", "out/secrets/app1.ca"]);
        space.forget("app1").unwrap();
        assert_eq!(space.kept_of("app1"), [""; 0]);
        assert_eq!(space.kept_of(".").len(), 3);
        space.forget(".").unwrap();
        assert_eq!(space.kept_of("."), [""; 0]);
        space.journal_add("{}").unwrap();
        space.forget_story().unwrap();
        assert_eq!(space.journal().unwrap(), "");
    }
}
