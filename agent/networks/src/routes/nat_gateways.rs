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
}
