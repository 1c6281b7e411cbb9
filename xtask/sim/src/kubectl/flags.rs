//! Flags of each kubectl subcommand (upstream help of v1.35), as far as a plan may want them.
//! Knows nothing of what they mean.

use super::super::flags::Known;

/// The flags of a subcommand; none if it is not known here.
pub fn known(subcommand: &str) -> Option<Known> {
    of_objects(subcommand).or_else(|| of_workloads(subcommand))
}

fn of_objects(subcommand: &str) -> Option<Known> {
    Some(match subcommand {
        "version" => Known { takes: &["output"], bare: &["client"], short: &[('o', "output")] },
        "get" => Known {
            takes: &[
                "output",
                "selector",
                "label-columns",
                "raw",
                "field-selector",
                "filename",
                "sort-by",
                "chunk-size",
            ],
            bare: &["all-namespaces", "no-headers", "ignore-not-found", "show-labels"],
            short: &[
                ('o', "output"),
                ('l', "selector"),
                ('L', "label-columns"),
                ('A', "all-namespaces"),
                ('f', "filename"),
            ],
        },
        "apply" | "create" => Known {
            takes: &["filename", "field-manager", "dry-run", "output", "validate", "timeout"],
            bare: &["server-side", "force-conflicts", "wait"],
            short: &[('f', "filename"), ('o', "output")],
        },
        "diff" => Known {
            takes: &["filename", "field-manager", "concurrency"],
            bare: &["server-side", "force-conflicts", "show-managed-fields"],
            short: &[('f', "filename")],
        },
        "exec" => Known {
            takes: &["container", "pod-running-timeout"],
            bare: &["stdin", "tty", "quiet"],
            short: &[('c', "container"), ('i', "stdin"), ('t', "tty")],
        },
        _ => return None,
    })
}

fn of_workloads(subcommand: &str) -> Option<Known> {
    Some(match subcommand {
        "wait" => Known {
            takes: &["for", "timeout", "selector", "filename", "output"],
            bare: &["all", "all-namespaces", "local"],
            short: &[('l', "selector"), ('A', "all-namespaces"), ('f', "filename"), ('o', "output")],
        },
        "logs" => Known {
            takes: &["tail", "since", "container", "limit-bytes"],
            bare: &["follow", "previous", "timestamps", "all-containers"],
            short: &[('c', "container"), ('f', "follow"), ('p', "previous")],
        },
        "rollout" => Known {
            takes: &["timeout", "selector", "revision"],
            bare: &["watch"],
            short: &[('w', "watch"), ('l', "selector")],
        },
        "delete" => Known {
            takes: &["selector", "filename", "timeout", "output", "grace-period"],
            bare: &["all", "all-namespaces", "ignore-not-found", "wait", "now", "force"],
            short: &[('l', "selector"), ('f', "filename"), ('A', "all-namespaces"), ('o', "output")],
        },
        "drain" => Known {
            takes: &["timeout", "grace-period", "pod-selector", "selector"],
            bare: &["ignore-daemonsets", "delete-emptydir-data", "force", "disable-eviction"],
            short: &[('l', "selector")],
        },
        "cordon" | "uncordon" => Known { takes: &["selector"], bare: &[], short: &[('l', "selector")] },
        "label" | "annotate" => Known {
            takes: &["selector", "field-manager", "dry-run", "output"],
            bare: &["overwrite", "all"],
            short: &[('l', "selector"), ('o', "output")],
        },
        _ => return None,
    })
}
