//! Every map, by what it is for, out of the loaded object or out of the pin directory.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context as _, Result, anyhow};
use aya::{
    Ebpf, Pod,
    maps::{Array, Map, MapData, PerCpuArray},
};
use zonemeter_common::{Control, Count, Uplinks, names};

use super::{
    batch::BatchMap,
    conntrack::filter::AddressFilter,
    mapped::Mapped,
    pins::{self, Pins},
    sets::Set,
    tables::{self, Tables},
};

/// Kernel's list of CPUs that may ever be there.
const POSSIBLE: &str = "/sys/devices/system/cpu/possible";

/// All maps of one load.
pub(super) struct Maps {
    pub(super) written: Written,
    pub(super) skipped: PerCpuArray<MapData, Count>,
    pub(super) uplink_skipped: PerCpuArray<MapData, Count>,
    pub(super) uplinks: Array<MapData, Uplinks>,
    pub(super) filter: AddressFilter,
}

/// The maps that programs count into, and their control: what outlives the process.
pub(super) struct Written {
    pub(super) control: Array<MapData, Control>,
    /// By which the kernel tells the control map from every other map.
    pub(super) number: u32,
    /// Everything that came in by uplinks.
    pub(super) received: PerCpuArray<MapData, Count>,
    pub(super) tables: Tables,
    pub(super) sets: [Set; 2],
}

/// Values of global variables that go on over restarts.
#[derive(Debug)]
pub(super) struct Globals {
    pub(super) control: Control,
    pub(super) uplinks: Uplinks,
}

impl Globals {
    /// As it is in the pinned maps, where there are any: aya writes a global's first value also to a map
    /// that is there already, whose programs run.
    pub(super) fn read(pins: Option<&Pins>) -> Result<Self> {
        Ok(Self {
            control: pinned(pins, names::MAP_CONTROL)?.unwrap_or(Control::NONE),
            uplinks: pinned(pins, names::MAP_UPLINKS)?.unwrap_or(Uplinks::NONE),
        })
    }
}

fn pinned<V: Pod>(pins: Option<&Pins>, name: &str) -> Result<Option<V>> {
    let Some(path) = pins.map(|pins| pins.map(name)) else {
        return Ok(None);
    };
    let read = || -> Result<Option<V>> {
        if !path.try_exists()? {
            return Ok(None);
        }
        let map = Array::try_from(Map::from_map_data(MapData::from_pin(&path)?)?)?;
        Ok(Some(map.get(&0, 0)?))
    };
    read().with_context(|| path.display().to_string())
}

/// The maps of an earlier process that do not fit.
pub(super) struct Leftover {
    pub(super) written: Written,
    /// Where they are pinned.
    pub(super) folder: PathBuf,
}

impl Maps {
    /// Takes them out of the loaded object.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self> {
        let mut take = |name: &str| {
            let map = ebpf.take_map(name);
            map.with_context(|| format!("the object file has no map {name}"))
        };
        Ok(Self {
            written: Written::take(&mut take)?,
            skipped: take(names::MAP_SKIPPED)?.try_into()?,
            uplink_skipped: take(names::MAP_UPLINK_SKIPPED)?.try_into()?,
            uplinks: take(names::MAP_UPLINKS)?.try_into()?,
            filter: AddressFilter::new(take(names::MAP_FILTER)?.try_into()?),
        })
    }
}

impl Written {
    fn take(take: &mut impl FnMut(&str) -> Result<Map>) -> Result<Self> {
        let control = take(names::MAP_CONTROL)?;
        let Map::Array(data) = &control else {
            return Err(anyhow!("not an array but {control:?}"));
        };
        let number = data.info()?.id();
        Ok(Self {
            control: control.try_into()?,
            number,
            received: take(names::MAP_UPLINK_RECEIVED)?.try_into()?,
            tables: tables(take)?,
            sets: [set(take, 0)?, set(take, 1)?],
        })
    }
}

impl Leftover {
    /// Opens the maps that are pinned in `folder`.
    pub(super) fn open(folder: PathBuf) -> Result<Self> {
        let mut maps = BTreeMap::new();
        for name in pins::map_names() {
            let path = folder.join(pins::file_name(name));
            let data = MapData::from_pin(&path).with_context(|| path.display().to_string())?;
            maps.insert(name, Map::from_map_data(data)?);
        }
        let mut take = |name: &str| maps.remove(name).with_context(|| format!("no map {name}"));
        Ok(Self {
            written: Written::take(&mut take)?,
            folder,
        })
    }
}

fn tables(take: &mut impl FnMut(&str) -> Result<Map>) -> Result<Tables> {
    Tables::new(tables::Maps {
        slots4: Mapped::new(array(take(names::MAP_TABLES4)?)?)?,
        slots6: Mapped::new(array(take(names::MAP_TABLES6)?)?)?,
        indexes: [
            Mapped::new(array(take(names::MAP_INDEX4)?)?)?,
            Mapped::new(array(take(names::MAP_INDEX6)?)?)?,
        ],
        claims: Mapped::new(array(take(names::MAP_CLAIMS)?)?)?,
        totals: Mapped::new(array(take(names::MAP_TOTALS)?)?)?,
        used: Mapped::new(array(take(names::MAP_USED)?)?)?,
    })
}

fn set(take: &mut impl FnMut(&str) -> Result<Map>, number: usize) -> Result<Set> {
    Ok(Set {
        flows4: BatchMap::new(hash(take(names::MAP_FLOWS4[number])?)?),
        flows6: BatchMap::new(hash(take(names::MAP_FLOWS6[number])?)?),
        shares: BatchMap::new(hash(take(names::MAP_SHARES[number])?)?),
        host4: BatchMap::new(hash(take(names::MAP_HOST4[number])?)?),
        host6: BatchMap::new(hash(take(names::MAP_HOST6[number])?)?),
        tracked4: BatchMap::new(hash(take(names::MAP_TRACKED4[number])?)?),
        tracked6: BatchMap::new(hash(take(names::MAP_TRACKED6[number])?)?),
    })
}

fn hash(map: Map) -> Result<MapData> {
    match map {
        Map::HashMap(data) => Ok(data),
        other => Err(anyhow!("not a hash map but {other:?}")),
    }
}

fn array(map: Map) -> Result<MapData> {
    match map {
        Map::Array(data) => Ok(data),
        other => Err(anyhow!("not an array but {other:?}")),
    }
}

/// The number of possible CPUs: how many values a per-CPU map has for each key.
pub(super) fn nr_cpus() -> Result<usize> {
    aya::util::nr_cpus()
        .map_err(|(file, error)| anyhow!("number of possible CPUs ({file}): {error}"))
}

/// How many numbers of CPUs there are: the highest possible one and all below it.
pub(super) fn cpu_numbers() -> Result<usize> {
    let text = fs::read_to_string(POSSIBLE).context(POSSIBLE)?;
    let highest = highest(&text).with_context(|| format!("{POSSIBLE}: {text:?}"))?;
    Ok(highest + 1)
}

/// `0-3,8-11` is 11.
fn highest(list: &str) -> Option<usize> {
    let ends = list.trim().split(',').map(|range| {
        let (_, last) = range.split_once('-').unwrap_or(("", range));
        last.parse().ok()
    });
    ends.collect::<Option<Vec<usize>>>()?.into_iter().max()
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn the_highest_cpu_counts() {
        assert_eq!(highest("0-3,8-11\n"), Some(11));
        assert_eq!(highest("0\n"), Some(0));
        assert_eq!(highest("\n"), None);
    }
}
