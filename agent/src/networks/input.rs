//! Reading one of the inputs: JSON as the AWS CLI prints it.

use anyhow::{Result, anyhow, bail};
use ipnet::IpNet;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    model::address::{self, NoRange},
    syntax,
};

/// A text, and the flag and file that it came from.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) text: String,
}

/// One tag of an AWS resource.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    key: String,
    value: String,
}

/// A range that belongs to a subnet or a VPC, with what AWS thinks of that. Ranges that were
/// taken away stay in the list for a while.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct State {
    state: String,
}

impl State {
    /// Whether addresses of the range can be in use.
    pub(super) fn holds(&self) -> bool {
        self.state == "associated"
    }
}

impl Input {
    /// Reads the text as JSON.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        if self.text.trim().is_empty() {
            bail!(
                "{}: is empty: did the command that writes it fail?",
                self.name
            );
        }
        let text = self.text.trim_start_matches('\u{feff}');
        serde_json::from_str(text)
            .map_err(|error| anyhow!("{}: {}", self.name, syntax::json(&error)))
    }

    /// The list that the AWS CLI prints under `key`; `command` is what prints it.
    pub(super) fn whole_list<T>(
        &self,
        list: Option<Vec<T>>,
        next_token: Option<&str>,
        key: &str,
        command: &str,
    ) -> Result<Vec<T>> {
        if next_token.is_some() {
            bail!(
                "{}: NextToken: the list is cut short: run `{command}` without --max-items and \
                 --no-paginate",
                self.name
            );
        }
        list.ok_or_else(|| {
            let name = &self.name;
            anyhow!("{name}: no {key:?}: give what `{command} --output json` prints")
        })
    }

    /// The error for a value: file, place, value, remedy.
    pub(super) fn refusal(&self, place: &str, value: &str, problem: &str) -> anyhow::Error {
        anyhow!("{}: {place}: {value:?} {problem}", self.name)
    }

    /// Reads a network or a single address.
    pub(super) fn network(&self, place: &str, value: &str) -> Result<IpNet> {
        if let Some(address) = address::address(value) {
            return Ok(address.into());
        }
        address::range(value).map_err(|error| match error {
            NoRange::Unreadable => self.refusal(place, value, "is no address and no network"),
            NoRange::HostBits(range) => {
                let problem = format!("has host bits set: is {range} meant?");
                self.refusal(place, value, &problem)
            }
        })
    }
}

/// The tag `Name`, unless it is empty.
pub(super) fn name_tag(tags: &[Tag]) -> Option<&str> {
    let name = tags.iter().find(|tag| tag.key == "Name")?.value.trim();
    (!name.is_empty()).then_some(name)
}
