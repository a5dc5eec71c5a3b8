//! The networks file as text.

use std::io::{self, Write};

use ipnet::IpNet;
use serde::{Serialize, Serializer};
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer as Json};
use zonemeter_model::{
    address,
    networks_file::{self, way},
    snapshot::Via,
};

use super::{
    ip_ranges::Edition,
    table::{Entries, Entry, Source},
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
    let id = file.id.as_ref();
    let mut text = id.map_or_else(String::new, |id| format!("# VPC {}\n", comment(id)));
    if !file.vpc.is_empty() {
        let ranges: Vec<String> = file
            .vpc
            .iter()
            .map(|range| scalar(&range.to_string()))
            .collect();
        text += &format!("vpc: [{}]\n", ranges.join(", "));
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
    let range = range.to_string();
    let ways = entry.ways.as_ref();
    let services = ways.map(|ways| &*ways.services);
    let fields = networks_file::Entry {
        cidr: Some(&*range),
        zone: entry.zone.as_deref(),
        zone_id: entry.zone_id.as_deref(),
        scope: entry.scope,
        region: entry.region.as_deref(),
        name: Some(&*entry.name),
        via: entry.via.map(way),
        internet: ways.and_then(|ways| ways.internet).map(way),
        nat64: ways.and_then(|ways| ways.nat64).map(way),
        nat_zone: ways.and_then(|ways| ways.nat_zone.as_deref()),
        aws_services: services.filter(|all| !all.is_empty()).map(Services),
    };
    format!("  - {}\n", flow(&fields))
}

/// Services and their ways, in the order in which they were asked for.
struct Services<'a>(&'a [(String, Via)]);

impl Serialize for Services<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(service, via)| (service, way(*via))))
    }
}

/// On one line, whatever the inputs hold.
fn comment(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Words that YAML readers take for something else than text.
const RESERVED: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

fn scalar(value: &str) -> String {
    flow(&value)
}

/// On one line. JSON is YAML (YAML 1.2.2, section 1.2), and [`Flow`] leaves out the quotes that
/// nobody needs.
fn flow(value: &impl Serialize) -> String {
    let mut text = Vec::new();
    // Writing texts and mappings of texts to a vector cannot fail.
    let _ = value.serialize(&mut Json::with_formatter(&mut text, Flow::default()));
    String::from_utf8_lossy(&text).into_owned()
}

/// Writes a text plain where nothing in it means something in YAML.
#[derive(Default)]
struct Flow {
    /// The text so far, as JSON has it between its quotes.
    text: Vec<u8>,
}

fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(plain)
        && !RESERVED.contains(&text.to_lowercase().as_str());
    is_word || matches!(address::range(text), Ok(IpNet::V4(_)))
}

impl Formatter for Flow {
    fn begin_string<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.text.clear();
        Ok(())
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        _: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        self.text.write_all(fragment.as_bytes())
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        _: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        CompactFormatter.write_char_escape(&mut self.text, escape)
    }

    fn end_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let text = String::from_utf8_lossy(&self.text);
        match is_plain(&text) {
            true => writer.write_all(text.as_bytes()),
            false => write!(writer, "\"{text}\""),
        }
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"{ ")
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b" }")
    }
}
