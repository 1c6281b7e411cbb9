//! A test's folder as the disk of simulated tools.

use std::rc::Rc;

use exec::workspace::Workspace;
use sim::Disk;

/// What the tools call `out/` is the workspace's own.
pub struct WorkDir(pub Workspace);

impl Disk for WorkDir {
    fn read(&self, path: &str) -> Option<Rc<Vec<u8>>> {
        let path = self.0.out().join(path.strip_prefix("out/").unwrap_or(path));
        self.0.read_shared(&path)
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), String> {
        self.0.write(path.strip_prefix("out/").unwrap_or(path), bytes).map_err(|problem| problem.what)
    }
}
