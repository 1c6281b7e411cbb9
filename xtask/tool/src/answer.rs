//! What an ended command says: whether it answered at all, and why it failed, each as its tool writes it.

use super::expect::ending;
use super::extract::pattern;
use super::{Command, Exit, Output, Tool};

/// Lines of advice that are kept below a reason.
const ADVICE: usize = 6;

/// kubectl exits with 1 for whatever went wrong. With these texts the API server has answered about an object; all else
/// is the way to it, a time limit, or a server that is not ready.
const KUBECTL: &str = concat!(
    r"\((NotFound|Forbidden|Invalid|BadRequest|AlreadyExists|Conflict|MethodNotAllowed)\)|denied the request",
    "|doesn't have a resource type|no matches for kind|could not find the requested resource|violates PodSecurity",
    "|timed out waiting for the condition|exceeded its progress deadline",
);
/// What runs in a container had its own connection.
const VAULT_AWAY: &str = r"Code: 5\d\d|connection refused|deadline exceeded";
const IN_CONTAINER: &str = "command terminated with exit code";

/// `multipass exec` itself failed: the guest's command did not run, or its end is not known (client of 1.16.3).
const EXEC_FAILED: &str = r"^exec failed: ";
/// How Multipass begins the first line of an error; advice follows in other lines (client of 1.16.3).
const MULTIPASS: &str = "^(launch|start|stop|restart|suspend|delete|recover|info|list|exec|clone|version) failed: ";
/// The one error of Multipass that is about the VM and not about reaching it.
pub const VM_ABSENT: &str = "does not exist";

impl Output {
    /// Why this is no answer of a question, if it is none. Nothing follows from it: it is asked again, not acted on.
    pub fn no_answer(&self, question: &Command) -> Option<String> {
        let has = |regex: &str| pattern(regex).is_ok_and(|regex| regex.is_match(self.stderr.as_bytes()));
        let word = |n: usize| question.args.get(n).map_or("", String::as_str);
        let by_tool = |code: i32| match question.tool {
            // The client alone, without a daemon that would answer more.
            Tool::Multipass if code == 0 => word(0) != "version" || self.stdout.contains("multipassd"),
            _ if code == 0 => true,
            Tool::Multipass if word(0) == "exec" => code != 255 && !has(EXEC_FAILED),
            Tool::Multipass => has(VM_ABSENT),
            // 1 is a difference, more is an error (`kubectl diff --help`).
            Tool::Kubectl if code == 1 && question.args.iter().any(|arg| arg == "diff") => true,
            Tool::Kubectl if has(IN_CONTAINER) => !has(VAULT_AWAY),
            Tool::Kubectl => has(KUBECTL) || word(0) == "version",
            Tool::Helm => has("not found") || word(0) == "version",
            Tool::Cilium | Tool::Docker => word(0) == "version" || word(1) == "version",
            // These ask nobody else.
            Tool::Openssl | Tool::Curl | Tool::Tar | Tool::Builtin => true,
        };
        let answered = matches!(self.exit, Exit::Code(code) if by_tool(code));
        let reason = if answered || question.sensitive() { None } else { self.reason() };
        (!answered).then(|| ending(&self.exit) + &reason.map_or(String::new(), |reason| format!(": {reason}")))
    }

    /// Why a command failed, in a line of its stderr without `Error: `, if it wrote any.
    pub fn reason(&self) -> Option<String> {
        Some(self.reason_and_advice()?.0)
    }

    /// The reason, or how it ended.
    pub fn reason_or_end(&self) -> String {
        self.reason().unwrap_or_else(|| ending(&self.exit))
    }

    /// stderr, from the reason on where it stands first.
    pub fn error(&self) -> &str {
        let first = pattern(MULTIPASS).ok().and_then(|begin| begin.find(self.stderr.as_bytes()).map(|at| at.start()));
        first.map_or(&self.stderr, |at| &self.stderr[at..])
    }

    /// The reason, and at most six lines below it. Multipass writes the reason first; Helm, kubectl and kubeadm call it
    /// an error and may let advice follow; with all others it is the last line.
    pub fn reason_and_advice(&self) -> Option<(String, Vec<String>)> {
        let lines: Vec<String> = self.stderr.lines().map(plain).filter(|line| !is_noise(line)).collect();
        let first = lines.first().filter(|line| begins(line, MULTIPASS));
        let is_error = |line: &String| line.starts_with("Error: ") || line.starts_with("error: ");
        let at = first.map(|_| 0).or_else(|| lines.iter().rposition(is_error)).or(lines.len().checked_sub(1))?;
        let reason = lines[at].strip_prefix("Error: ").or(lines[at].strip_prefix("error: ")).unwrap_or(&lines[at]);
        // A first line that only announces the errors.
        let announced = usize::from(reason.ends_with("errors occurred:"));
        let reason: Vec<&str> =
            [reason].into_iter().chain(lines[at + 1..].iter().take(announced).map(String::as_str)).collect();
        let advice = lines[at + 1..].iter().skip(announced).take(ADVICE).cloned().collect();
        Some((reason.join(" "), advice))
    }
}

/// Longest piece of a line that tells what it is.
const BEGINNING: usize = 200;

/// A line as it was seen: what stands behind the last escape code of a spinner or return of the carriage.
fn plain(line: &str) -> String {
    let code_end = |c: char| c.is_ascii_alphabetic();
    let piece = |part: &str| match part.strip_prefix('[').and_then(|code| code.split_once(code_end)) {
        Some((code, text)) if code.bytes().all(|b| b.is_ascii_digit() || b";?".contains(&b)) => text.trim().to_owned(),
        _ => part.trim().to_owned(),
    };
    if !line.contains(['\r', '\u{1b}']) {
        return line.trim().to_owned();
    }
    line.rsplit(['\r', '\u{1b}']).map(piece).find(|text| !text.is_empty()).unwrap_or_default()
}

/// Lines of a log before the error: of the daemon of Multipass (`[2026-11-29T23:09:26] [error] [url downloader] …`), of
/// klog in kubectl (`E1129 23:09:26 …`), and kubectl's last line, which repeats the exit code of a container's command.
fn is_noise(line: &str) -> bool {
    let log = r"^\[[^\]]*\] \[(trace|debug|info|warning|error|critical)\] \[|^[EWI]\d{4} \d\d:\d\d:|^Warning: ";
    line.is_empty() || line.starts_with(IN_CONTAINER) || begins(line, log)
}

fn begins(line: &str, regex: &str) -> bool {
    let beginning = &line.as_bytes()[..line.len().min(BEGINNING)];
    pattern(regex).is_ok_and(|regex| regex.is_match(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: i32, stderr: &str) -> Output {
        Output { stderr: stderr.into(), ..Output::of(Exit::Code(code)) }
    }

    fn asked(tool: Tool, line: &str) -> Command {
        Command::ask(tool, line.split(' '))
    }

    #[test]
    fn an_error_about_the_way_is_no_answer_and_one_about_the_object_is() {
        use Tool::{Builtin, Docker, Helm, Kubectl, Multipass};
        let client = Output { stdout: r#"{"multipass":"1.16.3"}"#.into(), ..Output::of(Exit::Code(0)) };
        assert!(client.no_answer(&asked(Multipass, "version --format json")).is_some());
        let slow = "info failed: failed to obtain exit status for remote process 'x': timed out after 5000 ms\n";
        let sealed = "Error reading sys/mounts/secret: Code: 503. Errors:\n* Vault is sealed\ncommand terminated with exit code 2\n";
        let empty = "No value found at auth/a/config\ncommand terminated with exit code 2\n";
        for (tool, line, code, stderr, answered) in [
            (
                Multipass,
                "info a",
                2,
                "info failed: The following errors occurred:\ninstance \"a\" does not exist\n",
                true,
            ),
            (Multipass, "info a", 2, slow, false),
            (Multipass, "info a", 2, "info failed: cannot connect to the multipass socket\n", false),
            (Multipass, "exec -n a -- stat x", 123, "stat: cannot statx 'x'\n", true),
            (Multipass, "exec -n a -- stat x", 2, "exec failed: ssh connection failed: 'No route to host'\n", false),
            (Multipass, "exec -n a -- stat x", 255, "", false),
            (Kubectl, "--kubeconfig a diff -f -", 1, "exit status 1\n", true),
            (
                Kubectl,
                "--kubeconfig a diff -f -",
                2,
                "Unable to connect to the server: context deadline exceeded\n",
                false,
            ),
            (
                Kubectl,
                "--kubeconfig a diff -f -",
                2,
                "Error from server (NotFound): namespaces \"x\" not found\n",
                true,
            ),
            (Kubectl, "get --raw /readyz", 1, "Error from server (InternalError): an error on the server\n", false),
            (Kubectl, "get --raw /readyz", 1, "error: stat out/kube/a.yaml: no such file or directory\n", false),
            (Kubectl, "exec vault-0 -- vault", 2, empty, true),
            (Kubectl, "exec vault-0 -- vault", 2, sealed, false),
            (Kubectl, "exec vault-0 -- vault", 1, "error: unable to upgrade connection\n", false),
            (Helm, "get values a", 1, "Error: release: not found\n", true),
            (Helm, "get values a", 1, "Error: Kubernetes cluster unreachable\n", false),
            (Docker, "compose ps", 1, "error during connect\n", false),
            (Builtin, "dial 10.0.0.1 22", 1, "Connection refused\n", true),
        ] {
            assert_eq!(failed(code, stderr).no_answer(&asked(tool, line)).is_none(), answered, "{line}: {stderr}");
        }
        assert_eq!(Output::of(Exit::TimedOut).no_answer(&asked(Builtin, "machine")).as_deref(), Some("timed out"));
    }

    #[test]
    fn the_reason_stands_where_each_tool_writes_it() {
        let log = "[2026-11-29T23:09:26.123] [error] [url downloader] Failed to get https://x\n";
        let unknown = "launch failed: Remote \"x\" is unknown or unreachable.\nUse another.\n";
        let helm = "Error: template: a: bad\n\nUse --debug flag to render out invalid YAML\n";
        let schema = "Error: values don't fit:\nvelero:\n- at '/x': got object\n";
        for (stderr, reason, advice) in [
            (format!("{log}{unknown}"), "launch failed: Remote \"x\" is unknown or unreachable.", 1),
            ("\u{1b}[2K\u{1b}[0A\u{1b}[0EStarting a |\u{1b}[2Kstart failed: no\n".into(), "start failed: no", 0),
            (
                "info failed: The following errors occurred:\ninstance \"a\" does not exist\n".into(),
                "info failed: The following errors occurred: instance \"a\" does not exist",
                0,
            ),
            ("error: execution phase preflight: x\nTo see the stack trace\n".into(), "execution phase preflight: x", 1),
            ("[WARNING x]: y\nnode-prep: no\n".into(), "node-prep: no", 0),
            (
                "E1129 23:09:26.1 memcache.go:265] x\nThe connection was refused\n".into(),
                "The connection was refused",
                0,
            ),
            ("curl: (7) no\ncommand terminated with exit code 7\n".into(), "curl: (7) no", 0),
            (helm.into(), "template: a: bad", 1),
            (schema.into(), "values don't fit:", 2),
            ("% Total\ncurl: (22) 404\n".into(), "curl: (22) 404", 0),
        ] {
            let (got, more) = failed(1, &stderr).reason_and_advice().expect("a line");
            assert_eq!((got.as_str(), more.len()), (reason, advice), "{stderr}");
        }
        let many = failed(2, &format!("x failed: y\n{}", "a\n".repeat(20))).reason_and_advice();
        assert_eq!(many.map(|(_, advice)| advice.len()), Some(0), "the last line");
        let many = failed(2, &format!("stop failed: y\n{}", "a\n".repeat(20))).reason_and_advice();
        assert_eq!(many.map(|(_, advice)| advice.len()), Some(ADVICE));
        assert_eq!(failed(2, "").reason_or_end(), "exit 2");
    }
}
