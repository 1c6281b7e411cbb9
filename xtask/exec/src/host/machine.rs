//! `machine`: facts about this computer as JSON. Those that cannot be determined are left out; it never fails.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use duct::cmd;
use ipnet::Ipv4Net;
use serde_json::{Value, json};

use super::child::Environment;
use tool::{Exit, Output};

/// Limit of each program, which normally takes milliseconds.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The facts: `tool`, a version that was given, `os`, `arch`, `cpus`, `memory_bytes`, `free_disk_bytes`, `networks`, `clock`.
pub fn report(environment: &Environment, tool: Option<&str>) -> Output {
    let run = |words: &[&str]| run(environment, words);
    let mut facts = json!({ "os": std::env::consts::OS, "arch": std::env::consts::ARCH });
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            facts[name] = value;
        }
    };
    add("tool", tool.map(|version| json!(version)));
    add("cpus", std::thread::available_parallelism().ok().map(|n| json!(n.get())));
    let memory = || run(&["sysctl", "-n", "hw.memsize"])?.trim().parse().ok();
    add("memory_bytes", read("/proc/meminfo").and_then(|t| meminfo(&t)).or_else(memory).map(|n: u64| json!(n)));
    add("free_disk_bytes", run(&["df", "-Pk", "."]).and_then(|text| free_disk(&text)).map(|n| json!(n)));
    let networks = run(&["ip", "-j", "-4", "addr"])
        .and_then(|text| ip_networks(&text))
        .or_else(|| run(&["ifconfig"]).map(|text| ifconfig_networks(&text)))
        .or_else(|| read("/proc/net/route").map(|text| route_networks(&text)));
    add("networks", networks.map(distinct));
    add("clock", SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|now| json!(now.as_secs())));
    Output { stdout: format!("{facts}\n"), ..Output::of(Exit::Code(0)) }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The stdout of a program of the system, if it exists and succeeds.
fn run(environment: &Environment, words: &[&str]) -> Option<String> {
    let (program, args) = words.split_first()?;
    let program = which::which_in(program, Some(&environment.path), &environment.root).ok()?;
    let command = cmd(program, args).dir(&environment.root).stdin_null().stderr_null().stdout_capture();
    let handle = command.start().ok()?;
    match handle.wait_timeout(TIMEOUT) {
        Ok(Some(output)) => String::from_utf8(output.stdout.clone()).ok(),
        Ok(None) => {
            let _ = handle.kill();
            None
        }
        Err(_) => None,
    }
}

/// `MemTotal:       65536000 kB` in bytes.
fn meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The "available" column of `df -Pk`, in bytes. It is the one before the percentage; names may contain blanks.
fn free_disk(text: &str) -> Option<u64> {
    let words: Vec<&str> = text.lines().nth(1)?.split_whitespace().collect();
    let percent = words.iter().position(|word| word.ends_with('%'))?;
    words.get(percent.checked_sub(1)?)?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Networks of the interfaces in `ip -j -4 addr`.
fn ip_networks(text: &str) -> Option<Vec<Ipv4Net>> {
    let links: Value = serde_json::from_str(text).ok()?;
    let addresses = links.as_array()?.iter().filter_map(|link| link["addr_info"].as_array()).flatten();
    Some(addresses.filter_map(network_of).collect())
}

fn network_of(address: &Value) -> Option<Ipv4Net> {
    let prefix = u8::try_from(address["prefixlen"].as_u64()?).ok()?;
    Ipv4Net::new(address["local"].as_str()?.parse().ok()?, prefix).ok()
}

/// Networks of the interfaces in `ifconfig` of macOS: `inet 192.168.2.1 netmask 0xffffff00 broadcast …`.
fn ifconfig_networks(text: &str) -> Vec<Ipv4Net> {
    let network = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |word| words.iter().position(|w| *w == word).and_then(|at| words.get(at + 1));
        let mask = after("netmask")?;
        let mask = match mask.strip_prefix("0x") {
            Some(digits) => Ipv4Addr::from(u32::from_str_radix(digits, 16).ok()?),
            None => mask.parse().ok()?,
        };
        Ipv4Net::with_netmask(after("inet")?.parse().ok()?, mask).ok()
    };
    text.lines().filter_map(network).collect()
}

/// Networks reached without a gateway in `/proc/net/route`, whose addresses are in the byte order of the machine.
fn route_networks(text: &str) -> Vec<Ipv4Net> {
    let address = |word: &str| Some(Ipv4Addr::from(u32::from_str_radix(word, 16).ok()?.to_ne_bytes()));
    let network = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, to, gateway, _, _, _, _, mask, ..] = words[..] else { return None };
        let direct = address(gateway)?.is_unspecified() && !address(to)?.is_unspecified();
        if direct { Ipv4Net::with_netmask(address(to)?, address(mask)?).ok() } else { None }
    };
    text.lines().skip(1).filter_map(network).collect()
}

/// Sorted, without duplicates.
fn distinct(mut networks: Vec<Ipv4Net>) -> Value {
    networks.iter_mut().for_each(|network| *network = network.trunc());
    networks.sort();
    networks.dedup();
    networks.iter().map(Ipv4Net::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_this_machine_are_complete() {
        let path = "/usr/bin:/bin:/usr/sbin:/sbin".into();
        let output = report(&Environment { root: "/".into(), path, children: None }, None);
        let facts: Value = serde_json::from_str(&output.stdout).unwrap();
        assert!(facts["memory_bytes"].as_u64().unwrap() > 1 << 20);
        assert!(facts["free_disk_bytes"].is_u64() && facts["cpus"].as_u64().unwrap() > 0);
        assert!(facts["networks"].as_array().unwrap().iter().all(|n| n.as_str().unwrap().parse::<Ipv4Net>().is_ok()));
    }

    #[test]
    fn facts_that_need_no_program_are_reported_without_any() {
        let output = report(&Environment { root: "/".into(), path: "/nowhere".into(), children: None }, None);
        let facts: Value = serde_json::from_str(&output.stdout).unwrap();
        assert!(output.ok() && facts["os"].is_string() && facts.get("free_disk_bytes").is_none());
    }

    #[test]
    fn parses_linux_outputs() {
        assert_eq!(meminfo("MemTotal:       65536000 kB\nMemFree: 1 kB\n"), Some(65_536_000 * 1024));
        let ip = r#"[{"ifname":"lo","addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8}]},
            {"ifname":"mpqemubr0","addr_info":[{"family":"inet","local":"10.97.0.1","prefixlen":24}]},{}]"#;
        assert_eq!(distinct(ip_networks(ip).unwrap()), json!(["10.97.0.0/24", "127.0.0.0/8"]));
        let route = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        if cfg!(target_endian = "little") {
            assert_eq!(distinct(route_networks(route)), json!(["192.168.1.0/24"]));
        }
    }

    #[test]
    fn parses_macos_outputs() {
        let ifconfig = "lo0: flags=8049<UP>\n\tinet 127.0.0.1 netmask 0xff000000\n\tinet6 ::1 prefixlen 128\n\
            bridge100: flags=8a63<UP>\n\tinet 192.168.64.1 netmask 0xffffff00 broadcast 192.168.64.255\n\
            utun4: flags=8051<UP>\n\tinet 100.64.0.2 --> 100.64.0.2 netmask 0xffffffff\n";
        let want = json!(["100.64.0.2/32", "127.0.0.0/8", "192.168.64.0/24"]);
        assert_eq!(distinct(ifconfig_networks(ifconfig)), want);
        let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n\
            map auto_home 971350180 10 524288000 53% /System/Volumes/My Data\n";
        assert_eq!(free_disk(df), Some(524_288_000 * 1024));
    }
}
