//! Where rows come from.

use anyhow::{Result, anyhow};
use clap::ValueEnum as _;
use futures::future::join_all;
use serde::de::DeserializeOwned;

use super::{
    question::{Group, Question, Sort, Window},
    reading::Reading,
};
use crate::{
    client::Client,
    debug::{answer::Flows, pairs::answer::Pairs},
    store::Store,
};

/// Who is asked.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Agents, each of another node.
    Agents(Vec<Client>),
    /// A store of what all of them counted.
    Store(Store),
}

impl Source {
    /// Asks all of them.
    ///
    /// # Errors
    /// As [`Client::get`], where none of them answers; else [`Reading::failed`] says who did not. As
    /// [`Store::read`].
    pub(crate) async fn read(&self, question: &Question) -> Result<Reading> {
        let agents = match self {
            Self::Agents(agents) => agents,
            Self::Store(store) => return store.read(question).await,
        };
        let reading = read(agents, question).await?;
        // Sorted by dollars that are not there, what is cut off may be the busiest.
        match question.sort == Sort::Dollars && reading.about.prices.is_none() {
            true => read(agents, &question.without_prices()).await,
            false => Ok(reading),
        }
    }

    /// What rows can be made of its answers.
    pub(crate) fn groups(&self) -> &'static [Group] {
        match self {
            Self::Agents(_) => Group::value_variants(),
            Self::Store(_) => &[Group::Pair, Group::Workload, Group::Pod],
        }
    }

    /// Of which times it knows means.
    pub(crate) fn windows(&self) -> &'static [Window] {
        match self {
            Self::Agents(_) => &[
                Window::Minute,
                Window::FiveMinutes,
                Window::Hour,
                Window::Start,
            ],
            Self::Store(_) => &[Window::FiveMinutes, Window::Hour, Window::Day],
        }
    }
}

async fn read(agents: &[Client], question: &Question) -> Result<Reading> {
    let path = question.path();
    let (mut reading, failed) = match question.group {
        Group::Pair | Group::Workload => {
            let (answers, failed) = ask::<Pairs>(agents, &path).await?;
            (Reading::of_pairs(answers, question), failed)
        }
        Group::Pod | Group::Connection => {
            let (answers, failed) = ask::<Flows>(agents, &path).await?;
            (Reading::of_flows(answers, question), failed)
        }
    };
    reading.failed = failed;
    Ok(reading)
}

async fn ask<T: DeserializeOwned>(agents: &[Client], path: &str) -> Result<(Vec<T>, Vec<String>)> {
    let asked = agents.iter().map(|agent| agent.get::<T>(path));
    let (mut answers, mut failed) = (Vec::new(), Vec::new());
    for answer in join_all(asked).await {
        match answer {
            Ok(answer) => answers.push(answer),
            Err(error) => failed.push(format!("{error:#}")),
        }
    }
    match answers.is_empty() {
        true => Err(anyhow!("{}", failed.join("; "))),
        false => Ok((answers, failed)),
    }
}
