//! The script that counts requests, in a real shell.
#![expect(clippy::disallowed_methods, reason = "starts a shell, and writes the programs that it finds")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::golden::root;

/// Time is a file; every sleep moves it on, and after a while there is no more.
const SLEEP: &str =
    "#!/bin/sh\nnow=$(cat now)\n[ \"$now\" -lt 1120 ] || exit 1\necho $((now + 1)) >now.$$\nmv now.$$ now\n";
const DATE: &str = "#!/bin/sh\ncat now\n";

/// Lines by way, from a cluster `app1` whose Services are answered as given.
fn lines(local: &str, mesh: &str) -> BTreeMap<String, Vec<Vec<u64>>> {
    let folder = tempfile::tempdir().expect("a folder");
    let curl = format!("#!/bin/sh\ncase \"$*\" in\n*//sample.*) {local} ;;\n*) {mesh} ;;\nesac\n");
    for (name, text) in [("sleep", SLEEP), ("date", DATE), ("curl", curl.as_str())] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a program");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it may run");
    }
    std::fs::write(folder.path().join("now"), "1000\n").expect("a clock");
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let mut shell = Command::new("/bin/sh");
    shell.arg(root().join("infra/drill/probe")).current_dir(folder.path()).stdin(Stdio::null());
    let ended = shell.env("PATH", path).env("PODINFO_UI_MESSAGE", "app1").output().expect("a shell");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let mut ways: BTreeMap<String, Vec<Vec<u64>>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&ended.stdout).lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let numbers = [words[0], words[2], words[3], words[4]].map(|word| word.parse().expect("a number"));
        ways.entry(words[1].to_owned()).or_default().push(numbers.into());
    }
    ways
}

fn answers(cluster: &str) -> String {
    format!("printf '{{\\n  \"hostname\": \"a\",\\n  \"message\": \"{cluster}\",\\n  \"color\": \"b\"\\n}}\\n'")
}

/// Requests sent and failed on a way, and its longest gap.
fn sum(lines: &[Vec<u64>]) -> (u64, u64, u64) {
    let gap = lines.iter().map(|l| l[3]).max().unwrap_or(0);
    (lines.iter().map(|l| l[1]).sum(), lines.iter().map(|l| l[2]).sum(), gap)
}

#[test]
fn each_route_expects_a_response_of_its_cluster() {
    let good = lines(&answers("app1"), &answers("app2"));
    let crossed = lines(&answers("app2"), &answers("app1"));
    let silent = lines("exit 28", "exit 28");
    for way in ["local", "mesh"] {
        let (sent, failed, gap) = sum(&good[way]);
        assert!(good[way].len() >= 3 && sent > 10 && failed == 0 && gap < 10, "{way}: {good:?}");
        for bad in [&crossed, &silent] {
            let (sent, failed, gap) = sum(&bad[way]);
            assert!(sent == failed && gap > 60, "{way}: {bad:?}");
        }
    }
}

#[test]
fn response_layout_does_not_matter() {
    let flat = r#"echo '{"hostname":"a","message":"app1","color":"b"}'"#;
    let (sent, failed, _) = sum(&lines(flat, &answers("app3"))["local"]);
    assert!(sent > 10 && failed == 0);
}
