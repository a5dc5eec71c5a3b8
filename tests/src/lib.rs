//! The lab: an EKS-shaped cluster out of network namespaces.
//!
//! Nodes stand in zones, joined by the VPC's router; an internet lies behind it. Pods are wired
//! as the AWS VPC CNI wires them. Tests, the demo and benchmarks use this one library; its own
//! tests (`tests/lab.rs`) show how. A scenario plans a lab, raises it, sends known amounts and asks
//! the wire: `Plan::new`, `Lab::raise`, `traffic`, `Lab::between`.
//!
//! Three rules hold everywhere: names carry the lab's name, so labs stand side by side; raising
//! a lab first removes what a killed run of the same name left; expected values never come from
//! the agent.

pub mod address;
mod agent;
pub mod browser;
pub mod chart;
mod cluster_api;
mod cluster_file;
pub mod foreign;
pub mod go_tools;
mod host_groups;
mod http;
mod interface;
pub mod interrupt;
pub mod kernel;
mod lab;
mod memory_group;
mod metrics;
pub mod mount;
mod names;
mod namespace;
mod node;
pub mod npm;
pub mod oracle;
mod patience;
mod plan;
mod pod;
mod process;
pub mod prometheus;
mod source;
mod sweep;
mod systemd;
mod tool;
pub mod traffic;
mod truth;
mod wiring;
pub use address::{Family, Space, Zone};
pub use agent::{Agent, AgentPlan, DEBUG_PORT, HttpAnswer, METRICS_PORT, agent_binary};
pub use chart::IMAGE_ROOT;
pub use cluster_api::{Account, ClusterApi};
pub use host_groups::HostGroups;
pub use http::http_get;
pub use interface::{InterfaceCount, backlog_drops};
pub use lab::{Lab, NatGateway};
pub use memory_group::MemoryGroup;
pub use metrics::{Metrics, Sample};
pub use namespace::Namespace;
pub use node::{Node, pinned};
pub use patience::until;
pub use plan::{KubeProxy, NodePlan, Owner, Plan, PodPlan, ServicePlan, ServicePort, Transport};
pub use pod::Pod;
pub use source::Source;
pub use sweep::remove;
pub use systemd::Systemd;
pub use tool::{closed_pipe, output, pipe};
pub use truth::{Count, Record, Truth, Way, count};
pub use wiring::SILENCE;
pub mod control_plane;
