//! tar, for the archives of tools: one member of one gzipped archive, into a folder.
//! Knows nothing of whether an archive is the right one; a damaged one cannot be unpacked.

use super::ask::{Ask, Disk, refused, said};
use super::curl;
use super::flags::{Bad, Known, parse};
use super::stage::Stage;
use tool::Output;

const FLAGS: Known = Known {
    takes: &["file", "directory", "strip-components"],
    bare: &["extract", "gzip"],
    short: &[('x', "extract"), ('z', "gzip"), ('f', "file"), ('C', "directory")],
};

/// Answers one command line. Texts and exit codes are GNU tar's, seen in 1.34.
pub fn answer(stage: &mut Stage, ask: &Ask, disk: &mut dyn Disk) -> Output {
    let args: Vec<String> = ask.args.iter().flat_map(|arg| spread(arg)).collect();
    let parsed = match parse(&args, &[FLAGS]) {
        Ok(parsed) => parsed,
        Err(Bad::Unknown(flag)) => {
            return stage.strange(ask, refused(64, format!("tar: unrecognized option '{flag}'")));
        }
        Err(Bad::NoValue(flag)) => {
            return stage.strange(ask, refused(64, format!("tar: option '{flag}' requires an argument")));
        }
    };
    let (path, folder) = (parsed.get("file").unwrap_or_default(), parsed.get("directory").unwrap_or("."));
    let Some(bytes) = disk.read(path) else {
        return refused(2, format!("tar ({path}): Cannot open: No such file or directory"));
    };
    if !curl::packs(path, &bytes) {
        return refused(2, "gzip: stdin: not in gzip format\ntar: Child returned status 1");
    }
    let member = parsed.word(0);
    match disk.write(&format!("{folder}/{member}"), &bytes) {
        Ok(()) => said(""),
        Err(why) => refused(2, format!("tar: {member}: Cannot open: {why}")),
    }
}

/// `-xzf FILE` is three flags in one word.
fn spread(arg: &str) -> Vec<String> {
    let letters = arg.strip_prefix('-').filter(|a| a.len() > 1 && a.chars().all(|c| "xzf".contains(c)));
    letters.map_or(vec![arg.to_owned()], |letters| letters.chars().map(|c| format!("-{c}")).collect())
}
