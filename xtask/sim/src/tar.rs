//! tar, for the archives of tools: one member of one gzipped archive, into a folder.

use crate::argv::split_short_flags;
use crate::curl;
use crate::prelude::*;

pub fn answer(sim: &mut SimState, request: &Request, disk: &mut dyn Disk) -> ToolResult<Output> {
    let args = split_short_flags(&request.args, "xzf");
    let args = sim.parse_args(request, "tar", &[], &args)?;
    let (path, folder) = (args.get("file").unwrap_or_default(), args.get("directory").unwrap_or("."));
    let missing = || failure(2, format!("tar ({path}): Cannot open: No such file or directory"));
    let bytes = disk.read(path).ok_or_else(missing)?;
    if !curl::is_tool_archive(path, &bytes) {
        return Err(failure(2, "gzip: stdin: not in gzip format\ntar: Child returned status 1"));
    }
    let member = args.word(0);
    let written = disk.write(&format!("{folder}/{member}"), &bytes);
    written.map_err(|why| failure(2, format!("tar: {member}: Cannot open: {why}")))?;
    Ok(success(""))
}
