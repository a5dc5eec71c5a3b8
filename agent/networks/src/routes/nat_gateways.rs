//! `aws ec2 describe-nat-gateways`: in which subnet each is.

use serde::Deserialize;

/// A NAT gateway.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NatGateway {
    pub(super) nat_gateway_id: String,
    pub(super) vpc_id: String,
    /// A regional one is in none.
    pub(super) subnet_id: Option<String>,
    /// `zonal` or `regional`; older answers have none, and tell of zonal ones.
    availability_mode: Option<String>,
}

impl NatGateway {
    /// True where it is in every zone that it is used in, and so in the sender's.
    pub(super) fn is_regional(&self) -> bool {
        self.availability_mode.as_deref() == Some("regional")
    }
}
