//! `openssl req -x509`: the mesh certificate authority, as two PEM blocks on standard output.

use crate::prelude::*;

/// Answers one command line. There is no cryptography in it; the same state gives the same bytes.
pub fn answer(sim: &mut SimState, request: &Request) -> ToolResult<Output> {
    match request.args.first().map_or("", String::as_str) {
        "version" => {
            // The library's version stands beside it (3.0.20).
            let version = format!("OpenSSL {} 7 Apr 2026", sim.machine.tools["openssl"]);
            return Ok(success(format!("{version} (Library: {version})\n")));
        }
        "req" => {}
        other => {
            let text = format!("Invalid command '{other}'; type \"help\" for a list.");
            return Err(sim.unsupported(request, failure(1, text)));
        }
    }
    let long = |arg: &String| if arg.len() > 1 && arg.starts_with('-') { format!("-{arg}") } else { arg.clone() };
    let args: Vec<String> = request.args[1..].iter().map(long).collect();
    let args = sim.parse_args(request, "openssl", &["req"], &args)?;
    let to_file = args.all("out").chain(args.all("keyout")).any(|path| !["-", "/dev/stdout"].contains(&path));
    if !args.on("x509") || to_file {
        let text = "req: the simulator creates certificates with -x509, to standard output, only";
        return Err(sim.unsupported(request, failure(1, text)));
    }
    sim.serial += 1;
    let name = format!("mesh-{}", sim.serial);
    let key = pki::pem("PRIVATE KEY", &format!("key of {name}"));
    // Without -quiet the key's progress goes to stderr, as dots.
    Ok(Output { stderr: "-----\n".into(), ..success(format!("{key}{}", pki::authority(&name))) })
}
