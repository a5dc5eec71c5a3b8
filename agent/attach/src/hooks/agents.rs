//! Other agents of this network namespace. Each says which programs are its own, so that none
//! takes another's for one that may hide packets: an agent's program passes every packet on.
//!
//! It says so by the name of a socket in the abstract namespace, which belongs to the network
//! namespace as interfaces do: to look up whose a program is takes CAP_SYS_ADMIN.

use std::{
    collections::BTreeSet,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
};

/// Says, for as long as the value lives, that a program is an agent's.
#[derive(Debug)]
pub(crate) struct Announced(#[expect(dead_code, reason = "open is all")] UnixDatagram);

/// # Errors
/// `EADDRINUSE` where somebody else says so already.
pub(crate) fn announce(program: u32) -> io::Result<Announced> {
    UnixDatagram::bind_addr(&address(program)?).map(Announced)
}

/// True while an agent runs whose program this is.
pub(crate) fn is_announced(program: u32) -> bool {
    let asked = UnixDatagram::unbound();
    asked.is_ok_and(|asked| address(program).is_ok_and(|at| asked.connect_addr(&at).is_ok()))
}

fn address(program: u32) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("zonemeter.program.{program}"))
}

/// Programs that are known to be agents'. One that was is so for good: it goes on to pass packets
/// on when its agent has ended, and no other program gets its number.
#[derive(Debug, Default)]
pub(crate) struct Agents(BTreeSet<u32>);

impl Agents {
    #[cfg(test)]
    pub(super) fn of(programs: impl IntoIterator<Item = u32>) -> Self {
        Self(programs.into_iter().collect())
    }

    /// True where the program is another agent's.
    pub(crate) fn owns(&mut self, program: u32) -> bool {
        self.0.contains(&program) || is_announced(program) && self.0.insert(program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_an_agents_while_it_is_announced_and_for_whoever_saw_it() {
        // No program has such a number on a machine that tests run on.
        let (mut seen, mut later) = (Agents::default(), Agents::default());
        let program = u32::MAX - std::process::id();
        assert!(!seen.owns(program));
        let announced = announce(program).unwrap();
        assert!(announce(program).is_err(), "by one only");
        assert!(seen.owns(program));
        drop(announced);
        assert!(seen.owns(program));
        assert!(!later.owns(program));
    }
}
