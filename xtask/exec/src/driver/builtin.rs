//! Built-in commands about `out/`; those that are about the machine are the world's.

use super::one_line;
use crate::workspace::Workspace;
use model::problem::Problem;
use tool::Call;
use tool::{Exit, Output};

/// The output, or nothing if the command is the world's.
pub fn run(call: &Call, space: &mut Workspace) -> Option<Output> {
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let answer = match words[..] {
        ["mint", name] => space.generate_secret(name).map(|()| yes("")),
        ["have", ref names @ ..] => have(names, space),
        ["keep", path] => space.write(path, &call.stdin).map(|()| yes("")),
        ["same", path] => {
            space.file_matches(path, &call.stdin).map(|same| if same { yes("") } else { no("it differs\n") })
        }
        ["folder", path] => space.create_dir(path).map(|()| yes("")),
        ["forget", name] => space.remove_cluster_files(name).map(|()| yes("")),
        ["forgotten", name] => Ok(match space.files_of_cluster(name) {
            kept if kept.is_empty() => yes(""),
            kept => no(&format!("{}\n", kept.join("\n"))),
        }),
        _ => return None,
    };
    Some(answer.unwrap_or_else(|problem| no(&one_line(problem))))
}

fn have(names: &[&str], space: &mut Workspace) -> Result<Output, Problem> {
    let mut missing = String::new();
    for name in names {
        if space.secret(name)?.is_none() {
            missing.push_str(&format!("{name}\n"));
        }
    }
    Ok(if missing.is_empty() { yes("") } else { no(&missing) })
}

fn yes(stdout: &str) -> Output {
    Output { stdout: stdout.to_owned(), ..Output::of(Exit::Code(0)) }
}

fn no(stderr: &str) -> Output {
    Output { stderr: stderr.to_owned(), ..Output::of(Exit::Code(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tool::{Command, builtin};

    fn check(space: &mut Workspace, command: Command, stdin: &str) -> Option<Output> {
        let stdin = stdin.as_bytes().to_vec();
        run(&Call { task: 1, tool: command.tool, args: command.args, stdin, env: vec![], acts: None }, space)
    }

    #[test]
    fn acts_keep_their_promises() {
        let dir = tempfile::tempdir().unwrap();
        let mut space = Workspace::open(camino::Utf8Path::from_path(dir.path()).unwrap(), "out".into());
        let mut check = |command, stdin| check(&mut space, command, stdin).unwrap();
        assert_eq!(check(builtin::has_secrets(&["a", "b"]), ""), no("a\nb\n"));
        assert_eq!(check(builtin::generate_secret("a"), ""), yes(""));
        assert_eq!(check(builtin::has_secrets(&["a", "b"]), ""), no("b\n"));
        assert_eq!(check(builtin::has_secrets(&["a"]), ""), yes(""));
        assert_eq!(check(builtin::file_matches("kube/a.yaml", "x"), "abc"), no("it differs\n"));
        assert_eq!(check(builtin::keep("kube/a.yaml", "x"), "abc"), yes(""));
        assert_eq!(check(builtin::file_matches("kube/a.yaml", "x"), "abc"), yes(""));
        assert_eq!(check(builtin::folder("charts"), ""), yes(""));
        assert_eq!(check(builtin::folder("charts"), ""), yes(""), "it may be there");
        assert!(dir.path().join("out/charts").is_dir() && check(builtin::folder("../x"), "").exit == Exit::Code(1));
        let refused = check(builtin::keep("../a", "x"), "");
        assert!(refused.stderr.starts_with("refused to touch `../a`: it leads out"), "{}", refused.stderr);
    }

    #[test]
    fn the_rest_is_the_worlds() {
        let dir = tempfile::tempdir().unwrap();
        let mut space = Workspace::open(camino::Utf8Path::from_path(dir.path()).unwrap(), "out".into());
        assert_eq!(check(&mut space, builtin::machine(), ""), None);
        assert_eq!(check(&mut space, builtin::sha256("charts/a.tgz"), ""), None);
        assert_eq!(check(&mut space, builtin::tcp_connect("10.0.0.1", 6443), ""), None);
    }
}
