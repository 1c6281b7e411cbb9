//! Reads files to an end: what is no file, or larger than anything of ours, is refused before it fills the memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use camino::Utf8Path;

/// The most that is read of a text that a person wrote. The largest in this repository has 17 kB.
pub(super) const WRITTEN: u64 = 1 << 20;
/// The most that is read of anything else: twice a full log.
pub(super) const KEPT: u64 = 128 << 20;
/// How much of the end of a journal is read: some hundred thousand lines, far more than anybody's runs write.
pub(super) const JOURNAL: u64 = 16 << 20;

/// The bytes of a file, a pipe or a device, if there are no more than `most`.
///
/// # Errors
/// The disk says no, or it goes on beyond `most`: `/dev/zero`, or a file with a hole of a terabyte.
pub(super) fn whole(path: &Utf8Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_large(most)) } else { Ok(bytes) }
}

/// The same of a regular file alone: nobody may ever write into a named pipe, and opening it would wait for that.
///
/// # Errors
/// As for [`whole`], or there is something else in its place.
pub(super) fn regular(path: &Utf8Path, most: u64) -> io::Result<Vec<u8>> {
    is_file(path)?;
    whole(path, most)
}

/// The last `most` bytes of a regular file, from the beginning of a line.
///
/// # Errors
/// The disk says no, or it is no regular file.
pub(super) fn end(path: &Utf8Path, most: u64) -> io::Result<Vec<u8>> {
    is_file(path)?;
    let mut file = File::open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    let from = length.saturating_sub(most);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    if from > 0 {
        let begun = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
        bytes.drain(..begun);
    }
    Ok(bytes)
}

fn is_file(path: &Utf8Path) -> io::Result<()> {
    let kind = path.metadata()?;
    if kind.is_file() { Ok(()) } else { Err(io::Error::other("it is not a file")) }
}

fn too_large(most: u64) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {} MiB", most >> 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_refused_and_what_has_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("a");
        std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(whole(&path, 14).unwrap(), b"one\ntwo\nthree\n");
        assert_eq!(whole(&path, 13).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(whole("/dev/zero".into(), 1 << 10).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(regular(folder.path().try_into().unwrap(), 9).unwrap_err().to_string(), "it is not a file");
        assert_eq!(end(&path, 99).unwrap(), b"one\ntwo\nthree\n");
        assert_eq!(end(&path, 9).unwrap(), b"three\n");
        assert_eq!(end(&path, 3).unwrap(), b"", "a line without its beginning is none");
    }

    #[test]
    fn a_hole_of_a_terabyte_costs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("hole");
        let file = File::create(&path).unwrap();
        if file.set_len(1 << 40).is_ok() {
            assert_eq!(end(&path, JOURNAL).unwrap().len(), 0);
            assert!(regular(&path, WRITTEN).is_err());
        }
    }
}
