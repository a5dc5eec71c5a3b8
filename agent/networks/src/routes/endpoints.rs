//! `aws ec2 describe-vpc-endpoints`: of which service each is.

use serde::Deserialize;

/// An endpoint.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Endpoint {
    pub(super) vpc_endpoint_id: String,
    pub(super) vpc_id: String,
    /// `com.amazonaws.us-east-2.s3`; of somebody else `com.amazonaws.vpce.us-east-2.vpce-svc-…`.
    service_name: String,
    /// Older answers have none: these are gateways.
    #[serde(default)]
    vpc_endpoint_type: String,
    #[serde(default)]
    network_interface_ids: Vec<String>,
    /// `ipv4`, `dualstack` or `ipv6`; of a gateway of before that `ipv4`.
    #[serde(default)]
    ip_address_type: String,
}

/// What packets to an endpoint go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The service's own addresses, by a route to a prefix list.
    Gateway,
    /// Addresses of the VPC.
    Interface,
    /// Appliances: Gateway Load Balancers, and whatever AWS adds.
    Other,
}

impl Endpoint {
    pub(super) fn kind(&self) -> Kind {
        match &*self.vpc_endpoint_type {
            "Gateway" | "" => Kind::Gateway,
            "Interface" => Kind::Interface,
            _ => Kind::Other,
        }
    }

    pub(super) fn has_interface(&self, id: &str) -> bool {
        self.kind() == Kind::Interface && self.network_interface_ids.iter().any(|one| one == id)
    }

    /// The name after the region, of services of AWS: `s3`, `ecr.api`.
    pub(super) fn service(&self) -> Option<&str> {
        let name = self.service_name.strip_prefix("cn.");
        let name = name.unwrap_or(&self.service_name);
        // Some services of AWS have their region in the middle: aws.sagemaker.us-east-2.notebook.
        if let Some(service) = name.strip_prefix("aws.") {
            return Some(service);
        }
        let (region, service) = name.strip_prefix("com.amazonaws.")?.split_once('.')?;
        (region != "vpce").then_some(service)
    }

    pub(super) fn speaks(&self, v6: bool) -> bool {
        match &*self.ip_address_type {
            "dualstack" => true,
            "ipv6" => v6,
            _ => !v6,
        }
    }
}
