//! Finds the place of a member in a kernel structure, by the kernel's own type information.
//!
//! Only what that takes: the format is `Documentation/bpf/btf.rst` of the kernel. Pure; the files
//! are read by the caller.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail, ensure};

const MAGIC: u16 = 0xeb9f;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;

/// The structures of one or two BTF files.
#[derive(Debug, Default)]
pub(super) struct Structures {
    by_name: HashMap<String, u32>,
    by_id: HashMap<u32, Structure>,
    types: u32,
    strings: Vec<u8>,
}

#[derive(Debug)]
struct Structure {
    bytes: u32,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    name: String,
    type_id: u32,
    bits: u32,
}

impl Structures {
    /// Reads `/sys/kernel/btf/vmlinux`, or on top of it a module's file, whose numbers go on
    /// where those of vmlinux end.
    ///
    /// # Errors
    /// When the bytes are no BTF.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<()> {
        let mut header = Reader(bytes);
        ensure!(header.u16()? == MAGIC, "not BTF, or of another byte order");
        header.skip(2)?;
        let length = header.u32()? as usize;
        let [types_at, types_length, strings_at, strings_length] =
            [header.u32()?, header.u32()?, header.u32()?, header.u32()?].map(|n| n as usize);
        let body = bytes.get(length..).context("header cut short")?;
        let part = |at: usize, length: usize| body.get(at..at + length).context("cut short");
        self.strings
            .extend_from_slice(part(strings_at, strings_length)?);
        let mut types = Reader(part(types_at, types_length)?);
        while !types.0.is_empty() {
            self.types += 1;
            self.read_type(&mut types)?;
        }
        Ok(())
    }

    fn read_type(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        let (name, info, bytes) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let (count, kind, bitfields) = (info & 0xffff, (info >> 24) & 0x1f, info >> 31 == 1);
        if kind != KIND_STRUCT && kind != KIND_UNION {
            return reader.skip(trailing_bytes(kind, count)?);
        }
        let members = (0..count)
            .map(|_| self.read_member(reader, bitfields))
            .collect::<Result<_>>()?;
        let name = self.string(name)?;
        if !name.is_empty() {
            self.by_name.entry(name).or_insert(self.types);
        }
        self.by_id.insert(self.types, Structure { bytes, members });
        Ok(())
    }

    fn read_member(&self, reader: &mut Reader<'_>, bitfields: bool) -> Result<Member> {
        let (name, type_id, offset) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let bits = if bitfields {
            offset & 0x00ff_ffff
        } else {
            offset
        };
        Ok(Member {
            name: self.string(name)?,
            type_id,
            bits,
        })
    }

    fn string(&self, at: u32) -> Result<String> {
        let rest = self
            .strings
            .get(at as usize..)
            .context("string out of range")?;
        let end = rest
            .iter()
            .position(|byte| *byte == 0)
            .context("string without end")?;
        Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
    }

    /// Bytes from the start of `structure` to `member`, looked for in anonymous members, too.
    ///
    /// # Errors
    /// When there is no such structure or member.
    pub(super) fn offset(&self, structure: &str, member: &str) -> Result<u32> {
        let bits = self
            .member_bits(self.id(structure)?, member)
            .with_context(|| format!("struct {structure} has no member {member}"))?;
        ensure!(bits % 8 == 0, "{structure}.{member} is a bit field");
        Ok(bits / 8)
    }

    /// Bytes of a structure.
    ///
    /// # Errors
    /// When there is no such structure.
    pub(super) fn size(&self, structure: &str) -> Result<u32> {
        Ok(self
            .by_id
            .get(&self.id(structure)?)
            .map_or(0, |found| found.bytes))
    }

    fn id(&self, structure: &str) -> Result<u32> {
        let id = self.by_name.get(structure).copied();
        id.with_context(|| format!("the kernel's BTF has no struct {structure}"))
    }

    fn member_bits(&self, id: u32, name: &str) -> Option<u32> {
        self.by_id
            .get(&id)?
            .members
            .iter()
            .find_map(|member| match member.name.as_str() {
                found if found == name => Some(member.bits),
                "" => Some(member.bits + self.member_bits(member.type_id, name)?),
                _ => None,
            })
    }
}

/// Bytes that follow the common part of a type.
fn trailing_bytes(kind: u32, count: u32) -> Result<usize> {
    let count = count as usize;
    Ok(match kind {
        // INT, VAR, DECL_TAG
        1 | 14 | 17 => 4,
        // PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FLOAT, TYPE_TAG
        2 | 7..=12 | 16 | 18 => 0,
        KIND_ARRAY => 12,
        // ENUM, FUNC_PROTO
        6 | 13 => 8 * count,
        // DATASEC, ENUM64
        15 | 19 => 12 * count,
        _ => bail!("a kind of type that is not known: {kind}"),
    })
}

/// Little end first, as on every machine that the agent is built for.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn u16(&mut self) -> Result<u16> {
        let (head, rest) = self.0.split_first_chunk().context("cut short")?;
        self.0 = rest;
        Ok(u16::from_ne_bytes(*head))
    }

    fn u32(&mut self) -> Result<u32> {
        let (head, rest) = self.0.split_first_chunk().context("cut short")?;
        self.0 = rest;
        Ok(u32::from_ne_bytes(*head))
    }

    fn skip(&mut self, bytes: usize) -> Result<()> {
        self.0 = self.0.get(bytes..).context("cut short")?;
        Ok(())
    }
}
