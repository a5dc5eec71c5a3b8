//! A build that goes on beside other work, until somebody needs what it makes.

use std::{
    path::PathBuf,
    thread::{self, JoinHandle},
    time::Instant,
};

use anyhow::{Context, Result, anyhow};

use super::{Build, Recipe};
use crate::progress;

/// Executables that are there, or that a thread builds. When the process ends, so does the build.
pub(crate) struct Ahead {
    recipe: &'static Recipe,
    folder: PathBuf,
    building: Option<JoinHandle<Result<()>>>,
}

impl Ahead {
    /// Starts to build what is missing, with what processor time others leave.
    ///
    /// # Errors
    /// The folder that the environment names lacks an executable, or Go is missing or too old.
    pub(crate) fn start(recipe: &'static Recipe) -> Result<Self> {
        let what = recipe.tools.programs.join(", ");
        let (folder, build) = Build::look(recipe)?;
        let building = build.map(|build| {
            progress::say(&format!(
                "==> beside what follows: build {what}, once and for minutes, into {}",
                folder.display()
            ));
            thread::spawn(move || tell(build, &what))
        });
        Ok(Self {
            recipe,
            folder,
            building,
        })
    }

    /// The variable that names the folder for those who have it already.
    pub(crate) fn variable(&self) -> &'static str {
        self.recipe.tools.variable
    }

    /// The folder of the executables, as soon as they are there.
    ///
    /// # Errors
    /// A build failed.
    pub(crate) fn wait(&mut self) -> Result<PathBuf> {
        self.check()?;
        if let Some(building) = self.building.take() {
            let what = format!("wait for {}", self.recipe.tools.programs.join(", "));
            progress::quiet_step(&what, || joined(building))?;
        }
        Ok(self.folder.clone())
    }

    /// Tells of a build that has failed before somebody waits for it.
    ///
    /// # Errors
    /// The build failed.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.building.take_if(|building| building.is_finished()) {
            Some(finished) => joined(finished),
            None => Ok(()),
        }
    }
}

fn tell(build: Build, what: &str) -> Result<()> {
    let started = Instant::now();
    build.run().with_context(|| format!("building {what}"))?;
    let took = progress::elapsed(started.elapsed());
    progress::say_at_next_step(format!("    done, beside the rest: build {what} ({took})"));
    Ok(())
}

fn joined(building: JoinHandle<Result<()>>) -> Result<()> {
    building
        .join()
        .map_err(|_| anyhow!("the thread that builds has panicked"))?
}
