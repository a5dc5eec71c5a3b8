//! Whether a bandwidth plugin in the CNI's chain would keep the agent from interfaces.

use zonemeter_model::traffic::AttachMode;

use super::report::Requirement;
use crate::cni::Chain;

pub(super) fn bandwidth(chain: &Chain, mode: Option<AttachMode>) -> Requirement {
    let needed = "no bandwidth plugin in the chain where clsact is used";
    let name = "bandwidth plugin";
    match (chain, mode) {
        (Chain::Without, _) => Requirement::ok(name, "none", needed),
        (Chain::Bandwidth(file), Some(AttachMode::Tcx)) => {
            Requirement::ok(name, format!("in {file}; TCX stays out of its way"), needed)
        }
        (Chain::Bandwidth(file), Some(AttachMode::Tc) | None) => {
            Requirement::ok(name, format!("in {file}"), needed).but(
                "clsact is added to no interface, because pods with a limit would not start: only \
                 what has it already is counted. Take a node image with Linux 6.6 or newer (TCX), \
                 or take the plugin out of the chain",
            )
        }
        (Chain::Unknown(error), _) => Requirement::ok(name, error, needed)
            .but("hand --cni-dir to the container as a read-only hostPath volume"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::report::Status;

    #[test]
    fn the_plugin_bars_clsact_and_not_tcx() {
        let with = Chain::Bandwidth("10-aws.conflist".to_owned());
        let status = |chain: &Chain, mode| bandwidth(chain, Some(mode)).status;
        assert_eq!(status(&with, AttachMode::Tc), Status::Warning);
        assert_eq!(status(&with, AttachMode::Tcx), Status::Ok);
        assert_eq!(status(&Chain::Without, AttachMode::Tc), Status::Ok);
        let unknown = Chain::Unknown("no folder".to_owned());
        assert_eq!(status(&unknown, AttachMode::Tcx), Status::Warning);
    }
}
