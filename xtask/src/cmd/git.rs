//! Texts as a commit has them, read through git.
//! Knows nothing of what they mean; changes nothing in the repository.

use camino::Utf8Path;
use xshell::{Shell, cmd};

use model::problem::Problem;
use render::Data;

/// One commit.
pub struct Git {
    sh: Shell,
    commit: String,
}

impl Git {
    /// The commit that a name stands for.
    ///
    /// # Errors
    /// git says no: there is no such commit, or no git.
    pub fn at(root: &Utf8Path, name: &str) -> Result<Git, Problem> {
        let cannot = |why: xshell::Error| Problem::new(format!("no such commit: `{name}`")).why(why.to_string());
        let sh = Shell::new().map_err(cannot)?;
        sh.change_dir(root);
        // `--end-of-options`: a name that begins with a dash is a name.
        let object = format!("{name}^{{commit}}");
        let ask = cmd!(sh, "git rev-parse --verify --quiet --end-of-options {object}").quiet();
        let commit = ask.ignore_stderr().read().map_err(cannot)?;
        Ok(Git { sh, commit })
    }

    /// Every text file below folders, by path.
    ///
    /// # Errors
    /// git says no.
    pub fn texts(&self, folders: &[&str]) -> Result<Data, Problem> {
        let Git { sh, commit } = self;
        let list = cmd!(sh, "git ls-tree -r -z --name-only {commit} -- {folders...}").quiet().read();
        let list = list.map_err(|why| Problem::new(format!("cannot list `{commit}`")).why(why.to_string()))?;
        list.split('\0').filter(|path| !path.is_empty()).map(|path| Ok((path.to_owned(), self.text(path)?))).collect()
    }

    /// One file.
    ///
    /// # Errors
    /// The commit does not have it.
    pub fn text(&self, path: &str) -> Result<String, Problem> {
        let object = format!("{}:{path}", self.commit);
        let show = cmd!(self.sh, "git cat-file blob {object}").quiet().ignore_stderr().output();
        match show {
            Ok(output) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            Err(_) => Err(Problem::new(format!("that commit has no `{path}`"))),
        }
    }
}
