//! `kubeconfig --merge` into the user's own file, and `destroy` taking it out again.
#![expect(clippy::disallowed_methods, reason = "changes a kubeconfig as other programs do")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use model::yaml;
use serde_json::Value;

use crate::fixtures::bootstrapped;

/// As other tools leave it: comments, null lists, an extension of their own, a password that looks like a number.
const OTHERS: &str = "\
# mine
apiVersion: v1
kind: Config
current-context: work
preferences: {}
clusters:
- name: work
  cluster: {server: 'https://10.0.0.1', extensions: [{name: cluster_info, extension: {provider: minikube.sigs.k8s.io}}]}
contexts:
- {name: work, context: {cluster: work, user: me}}
users:
- {name: me, user: {username: me, password: '0123'}}
";

fn names(config: &Value, list: &str) -> Vec<String> {
    let names = config[list].as_array().into_iter().flatten().filter_map(|entry| entry["name"].as_str());
    names.map(str::to_owned).collect()
}

#[test]
fn merged_contexts_leave_others_alone_and_go_with_their_clusters() {
    let repo = bootstrapped();
    let (folder, file) = (repo.simulated("home/.kube"), repo.simulated("home/.kube/config"));
    fs::create_dir_all(&folder).expect("a folder");
    let real = folder.join("elsewhere");
    fs::write(&real, OTHERS).expect("written");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).expect("its mode");
    symlink(&real, &file).expect("a link");
    let read = || yaml::foreign("config", &fs::read_to_string(&file).expect("there")).expect("YAML").remove(0).value;
    let before = read();

    repo.must("kubeconfig --merge --simulate");
    let merged = read();
    assert_eq!(names(&merged, "contexts"), ["work", "mgmt", "app1", "app2"]);
    assert_eq!(merged["current-context"], "work");
    assert_eq!((&merged["users"][0], &merged["clusters"][0]), (&before["users"][0], &before["clusters"][0]));
    assert!(file.is_symlink() && real.metadata().expect("there").permissions().mode() & 0o777 == 0o640);
    let backup = folder.join("elsewhere.archipelago-backup");
    assert_eq!(fs::read_to_string(&backup).expect("a backup"), OTHERS);
    assert!(!folder.join("elsewhere.lock").exists());

    let again = repo.must("kubeconfig --merge --simulate");
    assert!(again.err.contains("Unchanged"), "{}", again.err);
    repo.must("kubeconfig --merge --use app1 --simulate");
    assert_eq!(read()["current-context"], "app1");
    repo.must("destroy --only app1 --yes --simulate");
    assert_eq!(
        (names(&read(), "users"), &read()["current-context"]),
        (vec!["me".to_owned(), "mgmt-admin".to_owned(), "app2-admin".to_owned()], &"".into())
    );
    repo.must("destroy --yes --simulate");
    let left = read();
    assert_eq!(
        (&left["users"], &left["clusters"], &left["contexts"]),
        (&before["users"], &before["clusters"], &before["contexts"])
    );
}

#[test]
fn what_cannot_be_merged_is_refused_and_stays() {
    let repo = bootstrapped();
    let file = repo.simulated("home/.kube/config");
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    let taken = OTHERS.replace("name: me,", "name: app1-admin,");
    for (text, words) in [
        (taken.as_str(), "`app1-admin` in users is not of this fleet"),
        ("kind: [", "as YAML"),
        ("just: text\n", "is not a kubeconfig"),
        ("kind: Config\n---\nkind: Config\n", "is not a kubeconfig"),
    ] {
        fs::write(&file, text).expect("written");
        let ran = repo.run("kubeconfig --merge --simulate");
        assert!(ran.code == 1 && ran.err.contains(words), "{words}: {}", ran.err);
        assert!(ran.err.contains(".kube/config"), "{}", ran.err);
        assert_eq!(fs::read_to_string(&file).expect("there"), text);
        assert!(!file.with_extension("lock").exists());
    }
    fs::write(&file, OTHERS).expect("written");
    let lock = file.with_extension("lock");
    fs::write(&lock, "").expect("a lock");
    let ran = repo.run("kubeconfig --merge --simulate");
    assert!(ran.code == 1 && ran.err.contains(&format!("hint: rm {lock}")), "{}", ran.err);
    assert!(lock.exists() && fs::read_to_string(&file).expect("there") == OTHERS);
    fs::remove_file(lock).expect("removed");
    let ran = repo.run("kubeconfig --merge --use nope --simulate");
    assert!(ran.code == 2 && ran.err.contains("there is no context `nope`"), "{}", ran.err);
    fs::remove_file(&file).expect("removed");
    repo.must("kubeconfig --merge --simulate");
    assert_eq!(file.metadata().expect("there").permissions().mode() & 0o777, 0o600);
}
