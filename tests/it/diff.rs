//! A change of the data changes only the steps that depend on it.

use plan::{bootstrap, diff};
use render::{self, Data};
use tool::helm::Helm;

use crate::golden::{data, load};

fn changed(change: impl FnOnce(&mut Data)) -> Vec<String> {
    let (fleet, releases) = load("infra/fleet.toml");
    let plan = |data: &Data| {
        let files = render::files(&fleet, &releases, data).expect("it renders");
        bootstrap::plan(&fleet, &releases, files, Helm::V4)
    };
    let before = data();
    let mut after = before.clone();
    change(&mut after);
    diff::diff(&plan(&before), &plan(&after)).into_iter().map(|c| format!("{}{}", c.sign, c.step)).collect()
}

#[test]
fn one_value_changes_one_release() {
    let steps = changed(|data| {
        let values = data.get_mut("charts/cilium/values.yaml").expect("it is there");
        *values = values.replace("replicas: 1", "replicas: 2");
    });
    assert_eq!(steps, ["~mgmt/cilium", "~app1/cilium", "~app2/cilium"]);
}

#[test]
fn nothing_changes_nothing() {
    assert_eq!(changed(|_| {}), Vec::<String>::new());
}
