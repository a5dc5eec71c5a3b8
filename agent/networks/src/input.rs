//! Reading one of the inputs: JSON as the AWS CLI prints it.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use anyhow::{Context as _, Result, anyhow, bail};
use ipnet::IpNet;
use serde::{Deserialize, de::DeserializeOwned};
use zonemeter_model::{
    address::{self, NoRange},
    syntax,
};

/// A text, and the flag and file that it came from.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// In place of a file the standard input.
pub(super) fn stdin() -> &'static Path {
    Path::new("-")
}

/// Reads the file that a flag names.
pub(crate) fn read(flag: &str, path: &Path) -> Result<Input> {
    let mut bytes = Vec::new();
    let (name, read) = match path == stdin() {
        true => (
            "standard input".to_owned(),
            io::stdin().read_to_end(&mut bytes).map(|_| ()),
        ),
        false => (
            path.display().to_string(),
            fs::read(path).map(|read| bytes = read),
        ),
    };
    let name = format!("{flag} {name}");
    read.with_context(|| name.clone())?;
    let text = text(bytes);
    let text = text.with_context(|| format!("{name}: this is no text in UTF-8 or UTF-16"))?;
    Ok(Input { name, text })
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
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.checked_text()?)
            .map_err(|error| anyhow!("{}: {}", self.name, syntax::json(&error)))
    }

    /// The text, where there is one.
    pub(crate) fn checked_text(&self) -> Result<&str> {
        let text = self.text.trim();
        if text.is_empty() {
            let name = &self.name;
            bail!("{name}: is empty: did the command that writes it fail?");
        }
        Ok(text)
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

/// The text of a file, without a byte order mark; UTF-16 is what `>` of PowerShell writes. `None`
/// where it is neither that nor UTF-8.
pub(super) fn text(bytes: Vec<u8>) -> Option<String> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks();
        let units: Vec<u16> = pairs.iter().copied().map(unit).collect();
        rest.is_empty()
            .then(|| String::from_utf16(&units).ok())
            .flatten()
    };
    match &*bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(bytes).ok(),
    }
}

/// The tag `Name`, unless it is empty.
pub(super) fn name_tag(tags: &[Tag]) -> Option<&str> {
    let name = tags.iter().find(|tag| tag.key == "Name")?.value.trim();
    (!name.is_empty()).then_some(name)
}
