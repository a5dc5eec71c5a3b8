//! x
pub mod control_plane;
