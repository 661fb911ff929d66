/// The namespace that a phone speaks. It stands for the version of CWMP: 1.0, 1.1, and 1.2 to 1.4, which share one. Replies use
/// the phone's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum CwmpNamespace {
    /// CWMP 1.0, TR-069 Amendment 1. What is answered where a phone's namespace could not be told.
    #[default]
    V1_0,
    /// CWMP 1.1, Amendment 2: `GetAllQueuedTransfers` and `AutonomousTransferComplete` came with it.
    V1_1,
    /// CWMP 1.2 to 1.4, Amendments 3 to 6.
    V1_2,
    /// Written by some phones of CWMP 1.3 and 1.4, though these have no namespace of their own.
    V1_3,
}

impl CwmpNamespace {
    /// What the URI of every namespace of CWMP begins with.
    pub const FAMILY: &'static str = "urn:dslforum-org:cwmp-";

    /// The namespace of a URI, if it is one that is spoken here.
    pub fn from_uri(uri: &str) -> Option<Self> {
        [Self::V1_0, Self::V1_1, Self::V1_2, Self::V1_3].into_iter().find(|known| known.uri() == uri)
    }

    /// `urn:dslforum-org:cwmp-1-0` and so on.
    pub fn uri(self) -> &'static str {
        match self {
            Self::V1_0 => "urn:dslforum-org:cwmp-1-0",
            Self::V1_1 => "urn:dslforum-org:cwmp-1-1",
            Self::V1_2 => "urn:dslforum-org:cwmp-1-2",
            Self::V1_3 => "urn:dslforum-org:cwmp-1-3",
        }
    }
}
