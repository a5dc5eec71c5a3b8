//! Who is behind an address or an interface, and what lies between two ends. No IO, no async, no
//! clock: time is an argument.
//!
//! In the order of the data: [`book`] and [`interfaces`] say who has which address and which veth,
//! [`networks`] which ranges are no pods, [`resolve`] finds the two ends of a flow, [`egress`] by
//! what they leave the VPC, [`scope`] says what lies between them, [`explain`] tells why.

#![cfg_attr(
    test,
    expect(
        clippy::disallowed_methods,
        reason = "a test has no other way to come by an instant"
    )
)]

pub mod book;
pub mod egress;
pub mod explain;
pub mod held;
pub mod interfaces;
pub mod networks;
mod prefixes;
pub mod region;
pub mod resolve;
pub mod scope;
pub mod special;
mod veth;

pub use self::networks::Networks;
