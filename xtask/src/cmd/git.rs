//! Reads text files of a commit through git.

use camino::Utf8Path;
use xshell::{Shell, cmd};

use model::problem::Problem;
use render::Data;

pub struct Git {
    sh: Shell,
    /// Its full hash.
    pub commit: String,
}

impl Git {
    /// # Errors
    /// There is no such commit, or no git.
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
    /// git fails.
    pub fn texts(&self, folders: &[&str]) -> Result<Data, Problem> {
        let Git { sh, commit } = self;
        let list = cmd!(sh, "git ls-tree -r -z --name-only {commit} -- {folders...}").quiet().read();
        let list = list.map_err(|why| Problem::new(format!("cannot list `{commit}`")).why(why.to_string()))?;
        list.split('\0').filter(|path| !path.is_empty()).map(|path| Ok((path.to_owned(), self.text(path)?))).collect()
    }

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
