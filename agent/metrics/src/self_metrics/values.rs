//! Values of labels that only the agent's own metrics have.

/// A file that is reread when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConfigFile {
    /// `--cluster-file`
    Cluster,
    /// `--networks-file`
    Networks,
    /// `--prices-file`
    Prices,
}

impl ConfigFile {
    /// All files.
    pub const ALL: [Self; 3] = [Self::Cluster, Self::Networks, Self::Prices];

    /// The `file` label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Networks => "networks",
            Self::Prices => "prices",
        }
    }
}

/// Why a connection or a request was refused, or a connection closed before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refused {
    /// The listener has as many connections as it may, all of them busy: 503.
    Connections,
    /// An idle connection was closed in favour of a new one.
    GaveWay,
    /// Too many scrapes in flight: 503.
    Scrapes,
    /// A peer of the debug port that is not on loopback: 403.
    NotLoopback,
    /// The kernel could not give a descriptor or memory for it.
    AcceptFailed,
}

impl Refused {
    /// All reasons.
    pub const ALL: [Self; 5] = [
        Self::Connections,
        Self::GaveWay,
        Self::Scrapes,
        Self::NotLoopback,
        Self::AcceptFailed,
    ];

    /// The `reason` label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::GaveWay => "gave_way",
            Self::Scrapes => "scrapes",
            Self::NotLoopback => "not_loopback",
            Self::AcceptFailed => "accept_failed",
        }
    }
}
