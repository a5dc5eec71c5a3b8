//! What must hold for everything to be counted and named, and whether it does.

/// One thing that must hold. Its name is the `condition` label of `zonemeter_condition` and
/// begins its line in `/readyz`, in the log and in `zonemeter check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Condition {
    /// The programs are loaded and their maps are drained.
    Counting,
    /// The cluster's objects can be read.
    Cluster,
    /// The networks file is given and in force.
    NetworksFile,
    /// Every interface that is to be counted is counted in both directions.
    Interfaces,
    /// There is a Node object of this agent's name.
    OwnNode,
    /// Every pod of this node with an address has an interface that is counted.
    PodsCounted,
    /// Counting would go on without this process, where `--pin-dir` asks for that.
    PinDirectory,
    /// The node's own sockets can be told apart by their cgroups.
    Cgroups,
}

impl Condition {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Counting,
        Self::Cluster,
        Self::NetworksFile,
        Self::Interfaces,
        Self::OwnNode,
        Self::PodsCounted,
        Self::PinDirectory,
        Self::Cgroups,
    ];

    /// As metrics and texts have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counting => "counting",
            Self::Cluster => "cluster",
            Self::NetworksFile => "networks_file",
            Self::Interfaces => "interfaces",
            Self::OwnNode => "own_node",
            Self::PodsCounted => "pods_counted",
            Self::PinDirectory => "pin_directory",
            Self::Cgroups => "cgroups",
        }
    }
}

/// Whether a condition holds. The texts are one line each: the thing, the value, the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not known yet, and what is waited for.
    Unknown(String),
    /// It holds.
    Holds,
    /// It does not hold, and the agent is of use all the same.
    InPart(String),
    /// It does not hold.
    Fails(String),
}

impl Status {
    /// What there is to say; `None` where the condition holds.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Holds => None,
            Self::Unknown(text) | Self::InPart(text) | Self::Fails(text) => Some(text),
        }
    }

    /// True where an agent that starts is not ready.
    pub fn is_amiss(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::Fails(_))
    }
}

/// What the account says of the conditions that depend on what it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// Of [`Condition::OwnNode`].
    pub own_node: Status,
    /// Of [`Condition::PodsCounted`].
    pub pods_counted: Status,
    /// `zonemeter_uncounted_pods`
    pub uncounted_pods: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_or_fails_is_amiss() {
        let why = || "why".to_owned();
        for (status, text, is_amiss) in [
            (Status::Unknown(why()), Some("why"), true),
            (Status::Holds, None, false),
            (Status::InPart(why()), Some("why"), false),
            (Status::Fails(why()), Some("why"), true),
        ] {
            assert_eq!((status.text(), status.is_amiss()), (text, is_amiss));
        }
    }
}
