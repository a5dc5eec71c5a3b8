//! The networks file as text.

use std::fmt::Write as _;

use ipnet::IpNet;
use zonemeter_model::{address, snapshot::Via};

use super::{
    ip_ranges::Edition,
    table::{Entries, Entry, Source, Ways},
};

/// Everything that the file says.
#[derive(Debug, Default)]
pub(super) struct File {
    /// The VPC's id, where an input tells it.
    pub(super) id: Option<String>,
    pub(super) vpc: Vec<IpNet>,
    pub(super) entries: Entries,
    /// Interfaces of instances and pods.
    pub(super) left_out: usize,
    pub(super) services: Option<Edition>,
    /// What the inputs lack, each with the flag of the input first.
    pub(super) notes: Vec<String>,
}

/// Writes it: sections by source, ranges sorted.
pub(super) fn write(file: &File) -> String {
    let mut text = "# Written by `zonemeter networks`. The longest prefix wins.\n".to_owned();
    for note in &file.notes {
        text += &format!("# {}\n", comment(note));
    }
    text += &vpc(file);
    text += match file.entries.is_empty() {
        true => "networks: []\n",
        false => "networks:\n",
    };
    for (source, heading) in headings(file) {
        let of_source = |(_, entry): &(&IpNet, &Entry)| entry.source == source;
        let lines: Vec<String> = file.entries.iter().filter(of_source).map(line).collect();
        if !lines.is_empty() {
            text += &format!("  # {}\n{}", comment(&heading), lines.concat());
        }
    }
    text
}

fn vpc(file: &File) -> String {
    let mut text = String::new();
    if let Some(id) = &file.id {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# VPC {}", comment(id));
    }
    if !file.vpc.is_empty() {
        let ranges: Vec<String> = file
            .vpc
            .iter()
            .map(|range| scalar(&range.to_string()))
            .collect();
        let _ = writeln!(text, "vpc: [{}]", ranges.join(", "));
    }
    text
}

fn headings(file: &File) -> [(Source, String); 3] {
    let interfaces = match file.left_out {
        0 => "Interfaces that AWS placed into the VPC".to_owned(),
        count => format!(
            "Interfaces that AWS placed into the VPC; {count} of instances and pods are left out"
        ),
    };
    let services = file.services.as_ref().map_or_else(String::new, |edition| {
        let (names, region) = (edition.services.join(", "), &edition.region);
        format!(
            "{names} in {region} and, with their regions, elsewhere, from ip-ranges.json of {}",
            edition.created
        )
    });
    [
        (Source::Subnets, "Subnets".to_owned()),
        (Source::Interfaces, interfaces),
        (Source::Services, services),
    ]
}

fn line((range, entry): (&IpNet, &Entry)) -> String {
    let fields = [
        ("zone", entry.zone.as_deref()),
        ("zoneId", entry.zone_id.as_deref()),
        ("scope", entry.scope),
        ("region", entry.region.as_deref()),
        ("name", Some(&*entry.name)),
        ("via", entry.via.map(way)),
    ];
    let mut text = format!("  - {{ cidr: {}", scalar(&range.to_string()));
    let ways = entry.ways.iter().flat_map(fields_of_ways);
    for (field, value) in fields.into_iter().chain(ways) {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(text, ", {field}: {}", scalar(value));
        }
    }
    let services = entry.ways.iter().flat_map(|ways| &ways.services);
    let services: Vec<String> = services
        .map(|(service, via)| format!("{}: {}", scalar(service), way(*via)))
        .collect();
    if !services.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, ", awsServices: {{ {} }}", services.join(", "));
    }
    text + " }\n"
}

fn fields_of_ways(ways: &Ways) -> [(&'static str, Option<&str>); 3] {
    [
        ("internet", ways.internet.map(way)),
        ("nat64", ways.nat64.map(way)),
        ("natZone", ways.nat_zone.as_deref()),
    ]
}

fn way(via: Via) -> &'static str {
    if via == Via::Untold {
        "none"
    } else {
        via.name()
    }
}

/// On one line, whatever the inputs hold.
fn comment(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Words that YAML readers take for something else than text.
const RESERVED: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

/// Plain where nothing in it means something in YAML, else in double quotes, where YAML reads
/// what JSON writes (YAML 1.2.2, section 1.2).
fn scalar(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    let is_v4 = matches!(address::range(value), Ok(IpNet::V4(_)));
    let is_word = value.starts_with(|first: char| first.is_ascii_alphabetic())
        && value.bytes().all(plain)
        && !RESERVED.contains(&value.to_lowercase().as_str());
    match is_v4 || is_word {
        true => value.to_owned(),
        false => serde_json::Value::from(value).to_string(),
    }
}
