//! Running the programs on crafted frames, without an interface.

use anyhow::Result;
use aya::{TestRun as _, TestRunOptions};

use super::{Attachments, Direction, Link, Role};

impl Attachments {
    /// Runs a program once on a crafted frame and returns its verdict.
    pub(crate) fn test_run(
        &mut self,
        role: Role,
        direction: Direction,
        frame: &[u8],
        context: &[u8],
    ) -> Result<i32> {
        let options = TestRunOptions {
            data_in: Some(frame),
            ctx_in: Some(context),
            ..TestRunOptions::new()
        };
        Ok(self
            .programs
            .get(role, direction)?
            .test_run(options)?
            .return_value as i32)
    }

    /// Runs the program for cgroups once on a crafted packet and returns its verdict.
    pub(crate) fn test_run_in_cgroup(&mut self, frame: &[u8], context: &[u8]) -> Result<i32> {
        self.programs.test_run_in_cgroup(frame, context)
    }

    /// Has the programs take an interface for an uplink.
    pub(crate) fn take_for_uplink(&mut self, index: u32) {
        self.uplinks.attached(&Link {
            role: Role::Uplink,
            address: [2, 0, 0, 0, 0, 1],
            ..Link::named(index, "uplink")
        });
    }
}
