//! A Kubernetes `List`, JSON or YAML, read one item at a time: an item's full text never
//! outlives its trimming.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    io::{self, BufRead, Read},
};

use anyhow::{anyhow, bail};
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use zonemeter_model::strings::Strings;
use zonemeter_model::{
    cluster::{Kind, Name, Object},
    syntax,
};

use super::{
    field::{Unread, quoted},
    wire::{self, Wire},
};

/// What a list holds.
#[derive(Debug, Default)]
pub(super) struct Listed {
    objects: [Vec<Object>; 4],
    /// How many items of other kinds were passed over, by `apiVersion` and `kind`.
    pub(super) ignored: BTreeMap<String, usize>,
    /// What could not be read of an item and was passed over.
    pub(super) unread: Vec<UnreadItem>,
}

/// An item of a list with fields that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnreadItem {
    /// Of which kind it is.
    pub(super) kind: Kind,
    /// `namespace/name` and place in the list.
    pub(super) object: String,
    /// One line for each field.
    pub(super) lines: Vec<String>,
}

impl Listed {
    /// The objects of one kind, in the order of the list.
    pub(super) fn objects(&self, kind: Kind) -> &[Object] {
        &self.objects[kind as usize]
    }

    /// As [`Self::objects`], taken out.
    pub(super) fn take(&mut self, kind: Kind) -> Vec<Object> {
        std::mem::take(&mut self.objects[kind as usize])
    }
}

/// Reads a list. Errors name the line and column; an item or a field that cannot be read is no
/// error.
pub(super) fn read(mut input: impl BufRead, strings: &mut Strings) -> anyhow::Result<Listed> {
    let start = first_byte(&mut input)?;
    let mut reading = Reading {
        strings,
        listed: Listed::default(),
        seen: HashSet::new(),
    };
    match start {
        None => bail!("the file is empty"),
        Some(b'{') => read_json(input, &mut reading)?,
        Some(_) => read_yaml(input, &mut reading)?,
    }
    Ok(reading.listed)
}

/// The first byte that is not white space and no byte order mark (UTF-8), left in the input.
fn first_byte(input: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let buffer = input.fill_buf()?;
        let Some(&byte) = buffer.first() else {
            return Ok(None);
        };
        if !byte.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(&byte) {
            return Ok(Some(byte));
        }
        input.consume(1);
    }
}

fn read_json(input: impl Read, reading: &mut Reading<'_>) -> anyhow::Result<()> {
    let mut json = serde_json::Deserializer::from_reader(input);
    let read = ListSeed(reading)
        .deserialize(&mut json)
        .and_then(|()| json.end());
    read.map_err(|error| anyhow!("{}", syntax::json(&error)))
}

fn read_yaml(input: impl Read, reading: &mut Reading<'_>) -> anyhow::Result<()> {
    let unbounded = serde_saphyr::options! { budget: None };
    let list = |yaml: serde_saphyr::Deserializer<'_, '_>| ListSeed(reading).deserialize(yaml);
    serde_saphyr::with_deserializer_from_reader_with_options(input, unbounded, list)
        .map_err(|error| anyhow!("{}", syntax::yaml(&error)))
}

struct Reading<'a> {
    strings: &'a mut Strings,
    listed: Listed,
    seen: HashSet<(Kind, Name)>,
}

impl Reading<'_> {
    fn item(&mut self, index: usize, item: Value) {
        match (text(&item, "/apiVersion"), text(&item, "/kind")) {
            ("v1", "Node") => self.object::<wire::Node>(index, item),
            ("v1", "Pod") => self.object::<wire::Pod>(index, item),
            ("v1", "Service") => self.object::<wire::Service>(index, item),
            ("discovery.k8s.io/v1", "EndpointSlice") => {
                self.object::<wire::EndpointSlice>(index, item);
            }
            (api, kind) => {
                let known = match (api, kind) {
                    ("", _) | (_, "") => "without apiVersion or kind".to_owned(),
                    _ => format!("{api} {kind}"),
                };
                *self.listed.ignored.entry(known).or_default() += 1;
            }
        }
    }

    fn object<W: Wire>(&mut self, index: usize, item: Value) {
        let object = place(index, &item);
        let mut unread = Unread::default();
        let trimmed = wire::object::<W, _>(item)
            .map_err(|error| unread.note("item", &quoted(&error.to_string()), "a mapping"))
            .unwrap_or_default()
            .trim(self.strings, &mut unread);
        let mut lines = unread.take();
        match trimmed {
            Ok(object) if self.seen.insert((object.kind(), object.name())) => {
                self.listed.objects[W::KIND as usize].push(object);
            }
            Ok(_) => lines.push("the list has it twice: the first one holds".to_owned()),
            Err(nameless) => lines.push(nameless.to_string()),
        }
        if !lines.is_empty() {
            let kind = W::KIND;
            self.listed.unread.push(UnreadItem {
                kind,
                object,
                lines,
            });
        }
    }
}

fn place(index: usize, item: &Value) -> String {
    let (namespace, name) = (
        text(item, "/metadata/namespace"),
        text(item, "/metadata/name"),
    );
    let slash = if namespace.is_empty() { "" } else { "/" };
    format!("{namespace}{slash}{name} (item {index})")
}

fn text<'a>(item: &'a Value, pointer: &str) -> &'a str {
    item.pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The list's outer object; `items` may come before `kind`, as `kubectl` prints it.
struct ListSeed<'a, 'r>(&'a mut Reading<'r>);

impl<'de> DeserializeSeed<'de> for ListSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ListSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Kubernetes List")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut kind, mut items) = (None, false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "kind" => kind = Some(map.next_value::<String>()?),
                "items" => {
                    map.next_value_seed(ItemsSeed(self.0))?;
                    items = true;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        match kind.as_deref() {
            Some("List") if items => Ok(()),
            Some("List") => Err(A::Error::custom("the List has no items")),
            Some(other) => Err(A::Error::custom(format!(
                "its kind is {other:?}, not \"List\""
            ))),
            None => Err(A::Error::custom(
                "it has no kind, where \"List\" was expected",
            )),
        }
    }
}

struct ItemsSeed<'a, 'r>(&'a mut Reading<'r>);

impl<'de> DeserializeSeed<'de> for ItemsSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ItemsSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(item) = items.next_element::<Value>()? {
            self.0.item(index, item);
            index += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
