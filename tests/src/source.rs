//! Where the lab's agents learn of the cluster.

/// The two feeds that an agent has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// `--cluster-file`
    #[default]
    File,
    /// A real API server with the same objects, reached with the rights of the project's
    /// manifest.
    Api,
}

impl Source {
    /// `name`, told apart by the source: labs of both stand side by side.
    pub fn lab_name(self, name: &str) -> String {
        match self {
            Self::File => name.to_owned(),
            Self::Api => format!("{name}-api"),
        }
    }
}

/// Makes tests `cluster_file::NAME` and `live_api::NAME` out of each scenario, a function that
/// takes a [`Source`].
#[macro_export]
macro_rules! with_both_sources {
    ($($scenario:ident,)+) => {
        mod cluster_file {
            $(#[test] fn $scenario() { super::$scenario($crate::Source::File); })+
        }
        mod live_api {
            $(#[test] fn $scenario() { super::$scenario($crate::Source::Api); })+
        }
    };
}
