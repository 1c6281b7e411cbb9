//! Archipelago: three Kubernetes clusters on one machine, and a contract that says the apps outlive the platform.
//! Knows nothing of any one cluster: what is wanted stands in `infra/fleet.toml`, `charts/` and `infra/`.
//!
//! # What flows through it
//!
//! Data runs one way, and nothing later changes anything earlier:
//!
//! ```text
//! infra/fleet.toml --> fleet --> render (files) --> plan (steps) --> engine --> world --> ui
//!                 infra/, charts/ (data) --^                         journal <--^
//! ```
//!
//! * [`fleet`] is what is wanted: typed, valid, refused with every problem at once. [`release`] is what goes onto it.
//! * [`render`] makes every file as text in memory, [`plan`] every step with its exact arguments, probe and limits.
//!   Both are pure. Printing the plan is the dry run, the snapshot and the documentation at once.
//! * [`charts`] keeps the list of releases alive: digests, newer versions, what a chart renders against the fleet.
//! * [`engine`] is a pure machine, `(now, event) -> actions`. A step asks the world first, acts only if it must, and
//!   asks again (ADR-0011).
//! * [`contract`] judges what is rendered, and plans the probes and the drill that show the same of what runs.
//! * [`world`] is the one seam, with two implementors: `Host` starts real processes, `Rehearsal` answers the same
//!   arguments from simulated tools in virtual time (ADR-0009).
//! * [`cmd`] ties them together, one file per command: it alone sees the disk ([`workspace`]), a world and the screen
//!   ([`ui`]) at once.
//!
//! Values that only a run knows are names until then: `<fact:app1.cp.ip>`, `<secret:app1.join-secret>` ([`token`]).
//! What a user can mend is a [`problem::Problem`]. Why things are so stands in `adr/`.
//!
//! # Who may import whom
//!
//! A room may import what its row says, and rooms are in one order: every arrow points up. The `tidy` test reads the
//! code against this table; `clippy.toml` keeps processes, disk, environment, clocks, threads and `println!` in the
//! one room that opens with `#![expect(clippy::disallowed_methods, reason = "...")]`.
//!
//! | room | may import | knows nothing of |
//! |---|---|---|
//! | `token` | nothing | where values come from |
//! | `problem` | nothing | how it is shown |
//! | `adr` | problem | the disk |
//! | `fleet` | problem | YAML, commands, time, disk |
//! | `release` | fleet, problem | rendering, fetching, applying |
//! | `tools` | fleet, release, token | processes: it builds argv and reads text |
//! | `render` | fleet, problem, release, token | commands, disk |
//! | `charts` | fleet, problem, release, render, token | commands, disk: texts go in, findings and texts come out |
//! | `plan` | fleet, problem, release, render, token, tools | time, randomness, environment, what already ran |
//! | `contract` | adr, charts, fleet, plan, problem, release, render, tools | the disk, how probes are run, how a report looks |
//! | `mesh` | fleet, plan, problem, render, tools | how its questions are asked |
//! | `journal` | plan | files |
//! | `engine` | journal, plan, token, tools | threads, clock, terminal, what a tool means |
//! | `world` | engine, plan, problem, tools | fleets, contracts, files of ours |
//! | `workspace` | problem, render | what the bytes mean |
//! | `ui` | contract, engine, plan, problem, tools | the world |
//! | `cli` | ui | what a command does |
//! | `cmd` | everything | how arguments are spelt |
//!
//! # What holds, and the test that shows it
//!
//! 1. No arrow points back, and no room names a crate that belongs to another. Guard: `the_house_is_tidy`, over a table
//!    without a circle. Guard: `the_table_has_no_circle_and_no_arrow_back`.
//! 2. A probe changes nothing. Guard: `probes_only_read_and_ask_something`.
//! 3. Every step has a time limit for each command, a number of attempts and a bound on waiting. Guard:
//!    `limits_are_sane`.
//! 4. A secret is never in an argument, a journal, a log or on the screen. Guard: `secrets_stay_out_of_sight`. Nor is
//!    what a tool printed while it told one. Guard: `what_a_hushed_command_printed_is_never_shown`.
//! 5. A step runs only when every file it reads exists and every fact it names is learnt before. Guard:
//!    `every_file_is_there_and_every_fact_known_in_time`.
//! 6. A field has one owner, a data file or Rust. Guard: `a_field_with_two_owners_names_both_places`.
//! 7. The journal is a cache and never the truth: cut anywhere, it loses its last line alone. Guard:
//!    `a_cut_anywhere_loses_the_last_line_alone`.
//! 8. No process outlives the run that started it. Guard: `nothing_outlives_its_world`.
//! 9. Nothing is written outside of `out/`. Guards: `no_path_leads_out`,
//!    `links_inside_out_lead_nowhere`. But two commands edit the list of releases and
//!    the fleet, in place (ADR-0019). Guard: `only_what_was_read_is_replaced`. A second run is refused while one is
//!    at it. Guard: `the_second_is_refused_and_told_who_is_first`.
//! 10. stdout is the data asked for, stderr the story. Guard: `data_and_story_go_separate_ways`.
//! 11. There is no second code path for a dry run, no placeholder in a data file, no filter in a snapshot. Guard:
//!     `the_house_is_tidy`.
//! 12. The first build stays within the budget of ADR-0014. Guard: `the_first_build_stays_within_its_budget`.
//! 13. Killed at any moment, the same command arrives where an undisturbed run does, and no VM is made twice. Guards:
//!     `killed_at_random_moments_it_arrives_all_the_same`, `each_fault_alone_is_survived`.
//! 14. No cluster is made by way of another one. Guard: `no_cluster_needs_another`. And every name in a manifest or a
//!     values file leads somewhere. Guard: `every_name_leads_somewhere`.
//! 15. From the first VM that a drill stops until the platform answers, a mark on the disk says so, and the way back is
//!     `start`. Guard: `whoever_kills_a_drill_is_told_and_start_brings_the_platform_back`.
#![deny(missing_docs)]

pub mod adr;
pub mod charts;
pub mod cli;
pub mod cmd;
pub mod contract;
pub mod engine;
pub mod fleet;
pub mod journal;
pub mod mesh;
pub mod plan;
pub mod problem;
pub mod release;
pub mod render;
pub mod token;
pub mod tools;
pub mod ui;
pub mod workspace;
pub mod world;
