//! Replaces tokens by values: facts, secrets of `out/secrets`, and digests of the plan's files.

use std::collections::{BTreeMap, BTreeSet};

use super::one_line;
use crate::workspace::{Workspace, sha256_of};
use model::token::{self, Token};
use render::Files;
use tool::Call;
use tool::TaskId;
use tool::{Command, Stdin, guest_exit};

/// Length of a `<digest:…>`: 128 bits fit into a Kubernetes label (63 characters), all of a sha256 does not.
const DIGEST_LENGTH: usize = 32;
/// A file may name the digest of a file, but not in a circle.
const DEPTH: usize = 4;

/// The call that a command stands for.
///
/// # Errors
/// In words: which values are not known, or cannot stand in a file.
///
/// # Panics
/// A secret stands where every process of this machine could read it, or the plan feeds a file that it does not have.
pub fn call(
    task: TaskId,
    command: &Command,
    files: &Files,
    facts: &BTreeMap<String, String>,
    space: &mut Workspace,
) -> Result<Call, String> {
    let shown = command.args.iter().chain(command.env.iter().map(|(_, value)| value));
    let secret = |token: &Token<'_>| matches!(token, Token::Secret(_));
    if let Some(secret) = shown.flat_map(|text| token::tokens(text)).find(secret) {
        panic!("bug: {secret:?} in the arguments of `{command}`");
    }
    let mut values = Values { files, facts, space, troubles: BTreeSet::new() };
    let args: Vec<String> = command.args.iter().map(|arg| values.complete(arg, DEPTH)).collect();
    let env = command.env.iter().map(|(name, value)| (name.clone(), values.complete(value, DEPTH))).collect();
    let stdin = match &command.stdin {
        Stdin::Closed => String::new(),
        Stdin::Text(text) => values.complete(text, DEPTH),
        Stdin::File(file) => values.file(file, DEPTH),
    };
    if !values.troubles.is_empty() {
        return Err(values.troubles.into_iter().collect::<Vec<_>>().join("; "));
    }
    let args = guest_exit::wrap(command.tool, &args).unwrap_or(args);
    Ok(Call { task, tool: command.tool, args, stdin: stdin.into_bytes(), env, acts: None })
}

/// What `<digest:file>` stands for, or nothing while the file has tokens without a value.
pub fn digest(file: &str, files: &Files, facts: &BTreeMap<String, String>, space: &mut Workspace) -> Option<String> {
    let mut values = Values { files, facts, space, troubles: BTreeSet::new() };
    let digest = values.value(Token::Digest(file), DEPTH)?;
    values.troubles.is_empty().then_some(digest)
}

struct Values<'a> {
    files: &'a Files,
    facts: &'a BTreeMap<String, String>,
    space: &'a mut Workspace,
    troubles: BTreeSet<String>,
}

impl Values<'_> {
    /// The text with values. Where one is missing the trouble is noted and the text is of no use.
    fn complete(&mut self, text: &str, depth: usize) -> String {
        token::complete(text, |token| self.value(token, depth)).unwrap_or_else(|missing| {
            self.troubles.extend(missing.iter().map(|token| format!("{token} is not known")));
            String::new()
        })
    }

    fn file(&mut self, file: &str, depth: usize) -> String {
        let text = self.files.get(file).unwrap_or_else(|| panic!("bug: the plan has no file `{file}`"));
        self.complete(text, depth)
    }

    fn value(&mut self, token: Token<'_>, depth: usize) -> Option<String> {
        let (name, value) = match token {
            Token::Fact(name) => (token::fact(name), self.facts.get(name).cloned()?),
            Token::Secret(name) => (token::secret(name), self.secret(name)?),
            Token::Digest(file) => {
                let text = self.file(file, depth.checked_sub(1)?);
                return Some(sha256_of(text.as_bytes())[..DIGEST_LENGTH].to_owned());
            }
        };
        if !is_plain(&value) {
            self.troubles.insert(format!("{name} holds characters that no address, digest or base64 text has"));
        }
        Some(value)
    }

    fn secret(&mut self, name: &str) -> Option<String> {
        self.space.secret(name).unwrap_or_else(|problem| {
            self.troubles.insert(one_line(problem).trim_end().to_owned());
            None
        })
    }
}

/// Values come from the answers of tools and end up in YAML, where only such a text stays what it is, quoted or not;
/// in arguments, where what begins with a dash would be a flag; and in a script of `bash -c`, where all else is syntax.
fn is_plain(value: &str) -> bool {
    !value.is_empty()
        && !value.starts_with('-')
        && value.chars().all(|c| c.is_ascii_alphanumeric() || "+/=.:_-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tool::Tool;

    fn facts() -> BTreeMap<String, String> {
        let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        BTreeMap::from([fact("a.ip", "10.0.0.1"), fact("odd", "1\n  evil: true")])
    }

    fn files() -> Files {
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        Files::from([
            file("a.yaml", "ip: <fact:a.ip>\nkey: <secret:key>\n"),
            file("b.yaml", "of: <digest:a.yaml>\n"),
            file("circle.yaml", "<digest:circle.yaml>"),
        ])
    }

    fn check(command: &Command) -> Result<Call, String> {
        let dir = tempfile::tempdir().unwrap();
        let root = camino::Utf8Path::from_path(dir.path()).unwrap();
        let mut space = Workspace::open(root, "out".into());
        space.store_secrets(&[("key", "aHVzaA==")]).unwrap();
        call(7, command, &files(), &facts(), &mut space)
    }

    #[test]
    fn every_place_is_completed() {
        let command = Command::act(Tool::Helm, ["--set", "a=<fact:a.ip>,d=<digest:a.yaml>"])
            .env("IP", "<fact:a.ip>")
            .stdin_file("a.yaml");
        let call = check(&command).unwrap();
        // printf 'ip: 10.0.0.1\nkey: aHVzaA==\n' | sha256sum | head -c 32
        let digest = &sha256_of(b"ip: 10.0.0.1\nkey: aHVzaA==\n")[..32];
        assert_eq!(call.args[1], format!("a=10.0.0.1,d={digest}"));
        assert_eq!(call.env, [("IP".to_owned(), "10.0.0.1".to_owned())]);
        assert_eq!(call.stdin, b"ip: 10.0.0.1\nkey: aHVzaA==\n");
        let told = check(&Command::act(Tool::Docker, ["exec"]).stdin_text("<secret:key>")).unwrap();
        assert_eq!((told.task, told.stdin.as_slice()), (7, &b"aHVzaA=="[..]));
        assert!(check(&Command::ask(Tool::Helm, ["<digest:b.yaml>"])).is_ok(), "a digest of a file with a digest");
    }

    #[test]
    fn all_that_is_missing_is_named() {
        let command = Command::ask(Tool::Helm, ["<fact:b.ip>", "<fact:c.ip>"]).stdin_text("<secret:none> <fact:b.ip>");
        let reason = check(&command).unwrap_err();
        assert_eq!(reason, "<fact:b.ip> is not known; <fact:c.ip> is not known; <secret:none> is not known");
    }

    #[test]
    fn a_value_cannot_change_the_file_around_it() {
        let reason = check(&Command::ask(Tool::Helm, ["x"]).stdin_text("<fact:odd>")).unwrap_err();
        assert!(reason.starts_with("<fact:odd> holds characters") && !reason.contains("evil"), "{reason}");
    }

    #[test]
    fn a_circle_of_digests_ends() {
        assert!(check(&Command::ask(Tool::Helm, ["<digest:circle.yaml>"])).is_err());
    }

    #[test]
    #[should_panic(expected = "bug: Secret(\"key\") in the arguments")]
    fn no_secret_becomes_an_argument() {
        let _ = check(&Command::act(Tool::Helm, ["--set=<secret:key>"]));
    }

    #[test]
    #[should_panic(expected = "bug: the plan has no file `none.yaml`")]
    fn a_plan_brings_its_files() {
        let _ = check(&Command::act(Tool::Helm, ["x"]).stdin_file("none.yaml"));
    }
}
