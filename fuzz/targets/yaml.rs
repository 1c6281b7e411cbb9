//! Any text as a values file: read, merged with derived keys, written, and read back the same; and as a tool's YAML.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::problem::At;
use model::yaml;
use render::merge;

fuzz_target!(|text: &str| {
    let at = At { file: "f.toml".into(), line: Some(3) };
    let derived = ["cluster.name", "a.0.b", "operator"].map(|path| merge::Derived::new(path, "x", at.clone()));
    match yaml::parse("a.yaml", text) {
        Ok(documents) => {
            for document in &documents {
                let merged = merge::merge(document, &derived).unwrap_or_else(|_| document.value.clone());
                let written = yaml::write(std::slice::from_ref(&merged));
                let back = yaml::parse("b.yaml", &written).expect("what is written is read back");
                let null = Default::default();
                assert_eq!(back.first().map_or(&null, |document| &document.value), &merged, "{written}");
            }
        }
        Err(problems) => assert!(problems.iter().all(|p| p.at.as_ref().is_some_and(|at| at.file == "a.yaml"))),
    }
    let _ = yaml::foreign("a.yaml", text);
    let _ = charts::rendered::objects("x", text).map(|all| charts::rendered::workloads(&all, "y"));
    let _ = charts::outdated::parse_chart_yaml("x", text);
});
