//! What others may throw at it: texts of any kind, names that look like flags, folders that lead elsewhere, tools that
//! never end, a machine that sleeps, secrets that must not be seen. The list of all cases is `tests/ADVERSARIAL.md`.
//! Knows nothing of what a well-meant input does.

mod asleep;
mod folders;
mod lengths;
mod names;
mod processes;
mod secrets;
mod table;
mod terminal;
mod texts;
