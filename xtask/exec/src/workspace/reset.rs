//! Removes what `out/` holds of deleted clusters: kubeconfigs, secrets, and the state of earlier runs.

use camino::Utf8PathBuf;

use super::Workspace;
use model::problem::Problem;
use model::yaml;

/// State that one run leaves to the next: the journal, the simulator's state, and the marker of an interrupted drill.
const STATE: [&str; 3] = ["journal.jsonl", "world.json", "drill.json"];

/// The kubeconfig of all clusters, below `out/`.
const MERGED: &str = "kube/config.yaml";

impl Workspace {
    /// Kubeconfigs and secrets of a cluster, sorted, and the file of all clusters if it is in there; of all clusters, and
    /// what they share, if it is `.`.
    pub fn files_of_cluster(&self, cluster: &str) -> Vec<String> {
        let merged = self.without(cluster).map(|_| self.out.join(MERGED));
        self.paths_of_cluster(cluster).iter().chain(&merged).map(|path| self.shown(path).to_owned()).collect()
    }

    /// Removes [`Workspace::files_of_cluster`]. Their values are still redacted in this run's logs.
    pub fn remove_cluster_files(&self, cluster: &str) -> Result<(), Problem> {
        if let Some(rest) = self.without(cluster) {
            self.write(MERGED, rest.as_bytes())?;
        }
        self.paths_of_cluster(cluster).iter().try_for_each(|path| self.remove_file(path))
    }

    /// The kubeconfig of all clusters without this one's cluster, context and user, if it has any of them.
    fn without(&self, cluster: &str) -> Option<String> {
        let text = self.read(&self.out.join(MERGED)).ok()?;
        let mut config = yaml::foreign(MERGED, &text).ok()?.pop()?.value;
        let mut found = false;
        let user = format!("{cluster}-admin");
        for (list, name) in [("clusters", cluster), ("contexts", cluster), ("users", &user)] {
            let entries = config[list].as_array_mut()?;
            let before = entries.len();
            entries.retain(|entry| entry["name"] != name);
            found |= entries.len() < before;
        }
        if config["current-context"] == cluster {
            config["current-context"] = "".into();
        }
        found.then(|| yaml::write(&[config]))
    }

    /// Removes the state of earlier runs: the next run begins from nothing.
    pub fn reset_state(&self) -> Result<(), Problem> {
        STATE.iter().try_for_each(|name| self.remove(name))
    }

    /// A secret belongs to a cluster by its first word, `app1.join-secret`; a kubeconfig by its name.
    fn paths_of_cluster(&self, cluster: &str) -> Vec<Utf8PathBuf> {
        let belongs = |folder: &str, name: &str| match folder {
            _ if cluster == "." => true,
            "kube" => name.strip_suffix(".yaml") == Some(cluster),
            _ => name.split_once('.').is_some_and(|(first, _)| first == cluster),
        };
        // A folder that is a link to elsewhere holds nothing of ours.
        let inside = |folder: &&str| self.stays_inside(&self.out.join(folder));
        let files = ["kube", "secrets"].into_iter().filter(inside).flat_map(|folder| {
            let (path, names) = (self.out.join(folder), self.file_names(&self.out.join(folder)));
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
    use super::super::tests::temp_workspace;

    #[test]
    fn removing_a_cluster_keeps_files_of_others() {
        let (_dir, mut space) = temp_workspace();
        space.store_secrets(&[("app1.ca", "x"), ("app12.ca", "x"), ("mesh-ca.key", "x")]).unwrap();
        space.write("kube/app1.yaml", b"x").unwrap();
        space.write("kube/app12.yaml", b"x").unwrap();
        assert_eq!(space.files_of_cluster("app1"), ["out/kube/app1.yaml", "out/secrets/app1.ca"]);
        space.remove_cluster_files("app1").unwrap();
        assert_eq!(space.files_of_cluster("app1"), [""; 0]);
        assert_eq!(space.files_of_cluster(".").len(), 3);
        space.remove_cluster_files(".").unwrap();
        assert_eq!(space.files_of_cluster("."), [""; 0]);
        space.append_journal("{}").unwrap();
        space.reset_state().unwrap();
        assert_eq!(space.journal().unwrap(), "");
    }
}
