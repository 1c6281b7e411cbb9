//! Reads of bounded size: other than regular files and larger ones than ours are refused before they fill the memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use camino::Utf8Path;

/// Limit of a file that a person writes. The largest in this repository has 17 kB.
pub(super) const INPUT: u64 = 1 << 20;
pub(super) const ANY: u64 = 128 << 20;
/// How much of the end of a journal is read: some hundred thousand lines.
pub(super) const JOURNAL_TAIL: u64 = 16 << 20;

/// The bytes of a file, a pipe or a device. Also ends on `/dev/zero` and on a sparse file of a terabyte.
///
/// # Errors
/// It cannot be read, or is larger than `limit`.
pub(super) fn read(path: &Utf8Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let why = format!("it is larger than {} MiB", limit >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

/// As [`read`], of regular files only: opening a named pipe would block until there is a writer.
pub(super) fn read_regular(path: &Utf8Path, limit: u64) -> io::Result<Vec<u8>> {
    require_regular(path)?;
    read(path, limit)
}

/// The last `limit` bytes of a regular file, from the beginning of a line.
pub(super) fn read_tail(path: &Utf8Path, limit: u64) -> io::Result<Vec<u8>> {
    require_regular(path)?;
    let mut file = File::open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    let start = length.saturating_sub(limit);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    if start > 0 {
        let first_line = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
        bytes.drain(..first_line);
    }
    Ok(bytes)
}

fn require_regular(path: &Utf8Path) -> io::Result<()> {
    if path.metadata()?.is_file() { Ok(()) } else { Err(io::Error::other("it is not a file")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stop_at_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("a");
        std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(read(&path, 14).unwrap(), b"one\ntwo\nthree\n");
        assert_eq!(read(&path, 13).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read("/dev/zero".into(), 1 << 10).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_regular(folder.path().try_into().unwrap(), 9).unwrap_err().to_string(), "it is not a file");
        assert_eq!(read_tail(&path, 99).unwrap(), b"one\ntwo\nthree\n");
        assert_eq!(read_tail(&path, 9).unwrap(), b"three\n");
        assert_eq!(read_tail(&path, 3).unwrap(), b"", "an incomplete first line is dropped");
    }

    #[test]
    fn sparse_file_of_a_terabyte_is_not_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("sparse");
        let file = File::create(&path).unwrap();
        if file.set_len(1 << 40).is_ok() {
            assert_eq!(read_tail(&path, JOURNAL_TAIL).unwrap().len(), 0);
            assert!(read_regular(&path, INPUT).is_err());
        }
    }
}
