//! `openssl req -x509`: the mesh certificate authority, as two PEM blocks on standard output.
//! Knows nothing of cryptography; the same stage makes the same bytes.

use super::ask::{Ask, refused, said};
use super::pki;
use super::stage::Stage;
use tool::Output;

/// Options with a value, and without (openssl-req manual of 3.0).
const TAKES: &[&str] =
    &["-newkey", "-pkeyopt", "-keyout", "-out", "-days", "-subj", "-addext", "-config", "-extensions", "-set_serial"];
const BARE: &[&str] = &["-x509", "-nodes", "-noenc", "-batch", "-new", "-utf8", "-sha256", "-sha384"];

/// Answers one command line.
pub fn answer(stage: &mut Stage, ask: &Ask) -> Output {
    let mut args = ask.args.iter().map(String::as_str);
    match args.next() {
        Some("version") => return said(format!("OpenSSL {}\n", stage.machine.tools["openssl"])),
        Some("req") => {}
        other => {
            let text = format!("Invalid command '{}'; type \"help\" for a list.", other.unwrap_or_default());
            return stage.strange(ask, refused(1, text));
        }
    }
    let (mut signed, mut out) = (false, "-");
    while let Some(arg) = args.next() {
        signed |= arg == "-x509";
        if TAKES.contains(&arg) {
            let Some(value) = args.next() else {
                return stage.strange(ask, refused(1, format!("req: Option {arg} needs a value")));
            };
            if arg == "-out" || arg == "-keyout" {
                out = if ["-", "/dev/stdout"].contains(&value) { out } else { value };
            }
        } else if !BARE.contains(&arg) {
            let name = arg.trim_start_matches('-');
            return stage.strange(
                ask,
                refused(1, format!("req: Unknown option or message digest: {name}\nreq: Use -help for summary.")),
            );
        }
    }
    if !signed || out != "-" {
        return stage.strange(
            ask,
            refused(1, "req: the embedded world makes certificates with -x509, to standard output, only"),
        );
    }
    stage.serial += 1;
    let name = format!("mesh-{}", stage.serial);
    let key = pki::pem("PRIVATE KEY", &format!("key of {name}"));
    // Without -quiet the key's progress goes to stderr, as dots.
    Output { stderr: "-----\n".into(), ..said(format!("{key}{}", pki::authority(&name))) }
}
