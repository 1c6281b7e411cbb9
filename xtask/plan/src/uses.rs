//! Which tokens a text or command needs, through the files it is fed and the files whose digest it names.

use std::collections::BTreeSet;

use model::token::{self, Token};
use render::Files;
use tool::{Command, Stdin};

/// Names that must be known before something can run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Uses {
    pub facts: BTreeSet<String>,
    pub secrets: BTreeSet<String>,
    /// Generated files that are read, or whose digest is.
    pub files: BTreeSet<String>,
}

impl Uses {
    pub fn of_command(command: &Command, files: &Files) -> Uses {
        let mut uses = Uses::default();
        command.texts().for_each(|text| uses.add(text, files));
        if let Stdin::File(file) = &command.stdin {
            uses.add_file(file, files);
        }
        uses
    }

    pub fn of_text(text: &str, files: &Files) -> Uses {
        let mut uses = Uses::default();
        uses.add(text, files);
        uses
    }

    fn add(&mut self, text: &str, files: &Files) {
        for token in token::tokens(text) {
            match token {
                Token::Fact(name) => self.facts.extend([name.to_owned()]),
                Token::Secret(name) => self.secrets.extend([name.to_owned()]),
                Token::Digest(file) => self.add_file(file, files),
            }
        }
    }

    fn add_file(&mut self, file: &str, files: &Files) {
        if self.files.insert(file.to_owned())
            && let Some(text) = files.get(file)
        {
            self.add(text, files);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tool::Tool;

    #[test]
    fn facts_are_found_through_files_and_digests() {
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let files = Files::from([file("a", "<fact:x> <digest:b>"), file("b", "<fact:y> <secret:s> <digest:a>")]);
        let uses = Uses::of_command(&Command::act(Tool::Helm, ["<fact:z>"]).stdin_file("a"), &files);
        assert_eq!(Vec::from_iter(uses.facts), ["x", "y", "z"]);
        assert_eq!(Vec::from_iter(uses.secrets), ["s"]);
        assert_eq!(Vec::from_iter(uses.files), ["a", "b"]);
    }
}
