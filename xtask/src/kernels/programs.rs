//! The project's own programs that a guest runs.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    image::arch::Arch,
    test::{self, Executable},
};

/// The agent, and tests.
pub(super) struct Programs {
    pub(super) arch: Arch,
    /// Name in the guest, and file.
    pub(super) files: Vec<(&'static str, PathBuf)>,
}

impl Programs {
    /// Those of this machine's own tests.
    ///
    /// # Errors
    /// One is not there.
    pub(super) fn built(all: &[Executable]) -> Result<Self> {
        let tests = Executable::with_test(all, "datapath: zonemeter_datapath", "tests")?;
        let lab = Executable::with_test(all, "tests: attach", "")?;
        Ok(Self {
            arch: Arch::of_this_machine()?,
            files: vec![
                ("agent", zonemeter_lab::agent_binary()?),
                ("programs", tests.file.clone()),
                ("lab", lab.file.clone()),
            ],
        })
    }

    /// Built for `arch`, and static.
    ///
    /// # Errors
    /// They do not build.
    pub(super) fn cross(arch: Arch) -> Result<Self> {
        let (folder, all) = test::build_for(arch)?;
        let mut files = vec![("agent", folder.join("zonemeter"))];
        for (name, executable) in [
            ("programs", "datapath: zonemeter_datapath"),
            ("privilege", "tests: privilege"),
            ("lab", "tests: attach"),
        ] {
            let found = all.iter().find(|one| one.name == executable);
            files.extend(found.map(|one| (name, one.file.clone())));
        }
        Ok(Self { arch, files })
    }
}
