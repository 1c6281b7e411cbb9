//! What keeps a step from its end: read by an observer beside it, in the same words while it runs and in its failure.

use std::time::Duration;

use model::units::parse_duration;
use tool::{Command, Output};

/// Pods that are named.
const PODS: usize = 2;
const MARK: &str = "; cause: ";
/// Longest cause, in characters.
const LONGEST: usize = 240;

/// A question that is asked beside a slow step, never on its own time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observer {
    pub ask: Command,
    pub read: Reader,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Rows of pods and events, as `kubectl get pods,events --no-headers` prints them: those of events begin with their age,
    /// and all with their namespace if they are of every one.
    Pods,
    /// The kubelet's journal.
    Kubelet,
    /// What a machine's driver reports of it.
    Machine,
}

impl Reader {
    /// The cause, if the answer shows one.
    pub fn cause(self, output: &Output) -> Option<String> {
        let cause = match self {
            Reader::Machine => machines::unreachable(output),
            _ if !output.ok() => None,
            Reader::Pods => pods(&output.stdout),
            Reader::Kubelet => kubelet(&output.stdout),
        };
        cause.map(|text| text.chars().take(LONGEST).collect())
    }
}

/// Why a step failed, with its cause: once.
pub fn explained(why: &str, cause: &str) -> String {
    if has_cause(why) { why.to_owned() } else { format!("{why}{MARK}{cause}") }
}

pub fn has_cause(why: &str) -> bool {
    why.contains(MARK)
}

/// `loki-0 Pending (FailedScheduling: 0/2 nodes are available)`, of pods that are not ready; of what has no pods at all the
/// last warning about it.
fn pods(table: &str) -> Option<String> {
    let rows: Vec<Vec<&str>> = table.lines().map(row).collect();
    let warning = |about: &str| {
        let of = |row: &&Vec<&str>| {
            row.get(1) == Some(&"Warning") && row.get(3).is_some_and(|object| object.ends_with(about))
        };
        let age = |row: &&Vec<&str>| parse_duration(row[0]).unwrap_or(Duration::MAX);
        rows.iter().filter(of).min_by_key(age)
    };
    let words = |row: &Vec<&str>| format!("{}: {}", row[2], row[4..].join(" "));
    let unready = rows.iter().filter(|row| {
        let [name, ready, status, ..] = row[..] else { return false };
        let all = ready.split_once('/').is_some_and(|(up, all)| up == all);
        name.starts_with("pod/") && !all && status != "Completed"
    });
    let named: Vec<String> = unready
        .take(PODS)
        .map(|row| {
            let why = warning(row[0]).map(|row| format!(" ({})", words(row))).unwrap_or_default();
            format!("{} {}{why}", row[0].trim_start_matches("pod/"), row[2])
        })
        .collect();
    match named.is_empty() {
        false => Some(named.join("; ")),
        true => warning("").map(|row| format!("{} {}", row[3], words(row))),
    }
}

/// The words of a row, without its namespace.
fn row(line: &str) -> Vec<&str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let pod = words.get(1).is_some_and(|word| word.starts_with("pod/"));
    let event = words.get(2).is_some_and(|word| ["Normal", "Warning"].contains(word));
    words[usize::from(pod || event)..].to_vec()
}

/// The message of the last line of the severity error, as klog writes them: `E1129 23:17:05.0 1 pod.go:1] "Error" err="x"`.
fn kubelet(journal: &str) -> Option<String> {
    let message = |line: &str| {
        let begin = line.find(" E").map_or(0, |at| at + 1);
        let (head, text) = line[begin..].split_once("] ")?;
        let day = head.strip_prefix('E').map_or(0, |day| day.bytes().take_while(u8::is_ascii_digit).count());
        (day == 4).then(|| format!("kubelet: {text}"))
    };
    journal.lines().rev().find_map(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tool::Exit;

    fn cause(read: Reader, stdout: &str) -> Option<String> {
        read.cause(&Output { stdout: stdout.into(), ..Output::of(Exit::Code(0)) })
    }

    #[test]
    fn unready_pods_are_named_with_their_last_warning() {
        let table = "pod/a-1   1/1   Running   0   5m\npod/b-1   0/1   ImagePullBackOff   0   5m\n\
                     pod/c-1   0/1   Completed   0   5m\n\
                     2m   Warning   Failed   pod/b-1   Error: ErrImagePull\n\
                     9s   Warning   Failed   pod/b-1   Failed to pull image \"x\"\n";
        let want = "b-1 ImagePullBackOff (Failed: Failed to pull image \"x\")";
        assert_eq!(cause(Reader::Pods, table).as_deref(), Some(want));
        let all: String = table.lines().map(|line| format!("a   {}\n", line.trim_start())).collect();
        assert_eq!(cause(Reader::Pods, &all).as_deref(), Some(want), "of every namespace");
        let none = "9s   Warning   FailedCreate   statefulset/d   pods \"d-0\" is forbidden\n";
        assert_eq!(cause(Reader::Pods, none).as_deref(), Some("statefulset/d FailedCreate: pods \"d-0\" is forbidden"));
        assert_eq!(
            [cause(Reader::Pods, ""), cause(Reader::Pods, "pod/a   1/1   Running   0   5m\ngarbage")],
            [None, None]
        );
    }

    #[test]
    fn the_last_error_of_the_kubelet_is_its_cause() {
        let journal = "Nov 29 a kubelet[1]: I1129 23:17:05.1 1 a.go:1] \"Fine\"\n\
                       Nov 29 a kubelet[1]: E1129 23:17:06.1 1 pod.go:1] \"Error syncing pod\" err=\"no sandbox\"\n\
                       Nov 29 a kubelet[1]: I1129 23:17:07.1 1 a.go:1] \"Fine\"\n";
        let want = "kubelet: \"Error syncing pod\" err=\"no sandbox\"";
        assert_eq!(cause(Reader::Kubelet, journal).as_deref(), Some(want));
        assert_eq!(cause(Reader::Kubelet, "E\n] \n E1] x"), None);
    }
}
