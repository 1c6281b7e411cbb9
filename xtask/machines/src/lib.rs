//! What can be done with a machine: commands, expectations and readers, so that plans stay printable values. One file
//! per driver; outside of this package and the simulator no code uses a driver's words, flags or JSON paths.

use std::fmt;
use std::time::Duration;

use model::fleet::{Cluster, Fleet, Node};
use model::token::fact;
use tool::{Command, Expect, Extractor, Output, Tool};

pub mod guest;
mod multipass;

/// What makes and runs the machines of a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    Multipass,
}

/// What machines of some drivers have and those of others lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// A clock of its own, which stands still while the host sleeps (canonical/multipass#982).
    OwnClock,
    /// A first boot that runs the user data it was launched with.
    UserData,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum MachineState {
    Running,
    Starting,
    Restarting,
    /// It stops after a delay or is being shut down.
    Stopping,
    Stopped,
    Suspending,
    Suspended,
    Deleted,
    Absent,
    /// The driver itself cannot tell; with Multipass also during a boot, until an address is known.
    Unknown,
    /// A state by a word that is none of the above.
    Other(String),
    /// The driver was not asked or did not answer: nothing follows from it.
    #[default]
    NoAnswer,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MachineInfo {
    pub state: MachineState,
    /// The first address, as peers reach it.
    pub address: Option<String>,
    pub memory: Option<(u64, u64)>,
    pub disk: Option<(u64, u64)>,
}

/// Commands for a state that the plain command would not repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// One or two words: `stopped`, `half done`.
    pub name: &'static str,
    pub when: Expect,
    /// How long the state is given to pass by itself before the commands run.
    pub after: Duration,
    /// Run in place of the act. Empty: wait for the probe.
    pub act: Vec<Command>,
}

/// How to find out whether a driver works on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCheck {
    pub ask: Command,
    pub version_at: &'static str,
    /// Holds if the driver can be used, whatever its version.
    pub ready: Expect,
    /// Asked where `ask` has no answer: its own error tells why.
    pub otherwise: Command,
    pub install: &'static str,
}

/// A machine of the fleet. Displayed as its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    driver: Driver,
    name: String,
    ip_fact: String,
}

impl Driver {
    pub fn of(_fleet: &Fleet) -> Self {
        Driver::Multipass
    }

    /// The program that it runs, also the name of its check.
    pub fn program(self) -> &'static str {
        self.tool().program()
    }

    fn tool(self) -> Tool {
        match self {
            Driver::Multipass => Tool::Multipass,
        }
    }

    pub fn can(self, capability: Capability) -> bool {
        match (self, capability) {
            (Driver::Multipass, Capability::OwnClock | Capability::UserData) => true,
        }
    }

    pub fn host_check(self) -> HostCheck {
        match self {
            Driver::Multipass => multipass::host_check(),
        }
    }

    /// Why text in user data must not depend on its quotes, if it must not.
    pub fn loses_quotes(self) -> Option<&'static str> {
        match self {
            Driver::Multipass => Some(multipass::LOSES_QUOTES),
        }
    }
}

/// Whether the driver answers nothing else before this command ends.
pub fn blocks(command: &Command) -> bool {
    match command.tool {
        Tool::Multipass => multipass::blocks(command),
        _ => false,
    }
}

/// The machine that a command runs in, if it runs in one.
pub fn guest_of(command: &Command) -> Option<&str> {
    match command.tool {
        Tool::Multipass => multipass::guest_of(command),
        _ => None,
    }
}

/// The machine that is running where an answer is as wanted.
pub fn shown_running(want: &Expect) -> Option<&str> {
    multipass::shown_running(want)
}

/// Why a machine cannot be reached, from the answer to [`Machine::info`].
pub fn unreachable(info: &Output) -> Option<String> {
    multipass::unreachable(info)
}

/// What helps where a driver's service does not answer, by what it said.
pub fn service_hint(question: &Command, output: &Output) -> Option<&'static str> {
    match question.tool {
        Tool::Multipass => multipass::service_hint(output),
        _ => None,
    }
}

/// Whether a command waits while another one [`blocks`].
pub fn is_answered_in_turn(command: &Command) -> bool {
    command.tool == Tool::Multipass
}

impl Machine {
    pub fn of(cluster: &Cluster, node: &Node) -> Self {
        Machine { driver: Driver::Multipass, name: cluster.vm(node), ip_fact: cluster.ip_fact(node) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn driver(&self) -> Driver {
        self.driver
    }

    pub fn can(&self, capability: Capability) -> bool {
        self.driver.can(capability)
    }

    /// Its address as other machines of the fleet reach it, a token.
    pub fn peer_address(&self) -> String {
        fact(&self.ip_fact)
    }

    /// Address and port at which this host reaches a port of it.
    pub fn host_endpoint(&self, port: u16) -> (String, u16) {
        match self.driver {
            Driver::Multipass => (self.peer_address(), port),
        }
    }

    pub fn dns_names(&self) -> Vec<String> {
        match self.driver {
            Driver::Multipass => multipass::dns_names(&self.name),
        }
    }

    /// Asks for the state alone, which is known where [`Machine::info`] has no answer. For [`Machine::is_listed`] and
    /// [`Machine::read`].
    pub fn list(&self) -> Command {
        match self.driver {
            Driver::Multipass => multipass::list(),
        }
    }

    /// Asks for its state and address. The answer is for [`Machine::is`], [`Machine::is_up`] and [`Machine::read`].
    pub fn info(&self) -> Command {
        match self.driver {
            Driver::Multipass => multipass::info(&self.name),
        }
    }

    pub fn locate(&self) -> Command {
        self.info().capture(&self.ip_fact, Extractor::Pointer(self.address_pointer()))
    }

    pub fn is(&self, state: &MachineState) -> Expect {
        match self.driver {
            Driver::Multipass => multipass::is(&self.name, state),
        }
    }

    pub fn is_listed(&self, state: &MachineState) -> Expect {
        match self.driver {
            Driver::Multipass => multipass::is_listed(&self.name, state),
        }
    }

    pub fn is_up(&self) -> Expect {
        let address = match self.driver {
            Driver::Multipass => multipass::has_address(&self.name),
        };
        Expect::All([self.is(&MachineState::Running)].into_iter().chain(address).collect())
    }

    /// Where the answer to [`Machine::info`] has its address.
    pub fn address_pointer(&self) -> String {
        match self.driver {
            Driver::Multipass => multipass::address_pointer(&self.name),
        }
    }

    /// What the answer to [`Machine::info`] reports.
    pub fn read(&self, output: &Output) -> MachineInfo {
        match self.driver {
            Driver::Multipass => multipass::read(&self.name, output),
        }
    }

    /// Makes it from the fleet's image. `user_data` is a generated file.
    pub fn launch(&self, fleet: &Fleet, node: &Node, user_data: &str) -> Command {
        match self.driver {
            Driver::Multipass => multipass::launch(&self.name, node, &fleet.vm.image, user_data),
        }
    }

    pub fn start(&self) -> Command {
        match self.driver {
            Driver::Multipass => multipass::start(&self.name),
        }
    }

    /// What may repair a machine that this driver can no longer control.
    pub fn control_hint(&self) -> &'static str {
        match self.driver {
            Driver::Multipass => multipass::RESTART_DAEMON,
        }
    }

    /// States in which it exists and the way to running is another than [`Machine::launch`].
    pub fn start_remedies(&self) -> Vec<Remedy> {
        match self.driver {
            Driver::Multipass => multipass::start_remedies(&self.name),
        }
    }

    pub fn stop(&self) -> Command {
        match self.driver {
            Driver::Multipass => multipass::stop(&self.name),
        }
    }

    /// States in which [`Machine::stop`] is refused or not needed.
    pub fn stop_remedies(&self) -> Vec<Remedy> {
        match self.driver {
            Driver::Multipass => multipass::stop_remedies(&self.name),
        }
    }

    /// Brings it back after a deletion that was not for good.
    pub fn recover(&self) -> Command {
        match self.driver {
            Driver::Multipass => multipass::recover(&self.name),
        }
    }

    pub fn delete(&self) -> Command {
        match self.driver {
            Driver::Multipass => multipass::delete(&self.name),
        }
    }

    pub fn delete_remedies(&self) -> Vec<Remedy> {
        match self.driver {
            Driver::Multipass => multipass::delete_remedies(&self.name),
        }
    }

    /// A command inside of it that changes nothing. With Multipass only where the state is known to be running: it would
    /// start one that is stopped.
    pub fn ask(&self, args: &[&str]) -> Command {
        Command::ask(self.driver.tool(), self.exec(args))
    }

    pub fn act(&self, args: &[&str]) -> Command {
        Command::act(self.driver.tool(), self.exec(args))
    }

    fn exec(&self, args: &[&str]) -> Vec<String> {
        match self.driver {
            Driver::Multipass => multipass::exec(&self.name, args),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Display for MachineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MachineState::Absent => f.write_str("absent"),
            MachineState::NoAnswer => f.write_str("unknown"),
            MachineState::Other(word) => f.write_str(word),
            named => write!(f, "{named:?}"),
        }
    }
}
