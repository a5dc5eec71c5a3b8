//! Fields of a Kubernetes object as they come: what cannot be read costs that one field, neither
//! the object nor the list, and is said.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// What stands in a field. Kubernetes means the same by `null` and by a field that is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Field<T> {
    /// Nothing.
    #[default]
    Absent,
    /// A value of the kind that belongs there.
    Read(T),
    /// Something else, as it is shown.
    Unreadable(Box<str>),
}

impl<T: Part> Field<T> {
    /// The value; what cannot be read is noted under the name of the field.
    pub(super) fn read<'a>(&'a self, field: &'static str, unread: &mut Unread) -> Option<&'a T> {
        match self {
            Self::Absent => None,
            Self::Read(value) => Some(value),
            Self::Unreadable(found) => {
                unread.note(field, found, T::WANTED);
                None
            }
        }
    }
}

impl Field<String> {
    /// A text that says something: Kubernetes writes an absent name as "" too.
    pub(super) fn text<'a>(&'a self, field: &'static str, unread: &mut Unread) -> Option<&'a str> {
        let text = self.read(field, unread).map(String::as_str);
        text.filter(|text| !text.is_empty())
    }
}

impl<T: Part> Field<Vec<Field<T>>>
where
    Vec<Field<T>>: Part,
{
    /// The elements that can be read; the others are noted.
    pub(super) fn each<'a>(&'a self, field: &'static str, unread: &mut Unread) -> Vec<&'a T> {
        let all = self.read(field, unread).into_iter().flatten();
        all.filter_map(|one| one.read(field, unread)).collect()
    }
}

/// What could not be read of one object, one line for each field.
#[derive(Debug, Default)]
pub(super) struct Unread(Vec<String>);

impl Unread {
    /// Notes a field, what was found there, and what it is not.
    pub(super) fn note(&mut self, field: &str, found: &str, wanted: &str) {
        self.0.push(format!("{field}: {found} is not {wanted}"));
    }

    /// The lines, taken out.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.0)
    }
}

/// A text of others in quotes, cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// What may stand in a field: by default nothing may, and an implementation reads its own kind.
pub(super) trait Part: Sized {
    /// How messages call it.
    const WANTED: &'static str;

    /// From a text.
    fn text(_: &str) -> Option<Self> {
        None
    }

    /// From true or false.
    fn flag(_: bool) -> Option<Self> {
        None
    }

    /// From a list, which must be read to its end.
    fn list<'de, A: SeqAccess<'de>>(list: A) -> Result<Option<Self>, A::Error> {
        IgnoredAny.visit_seq(list).map(|_| None)
    }

    /// From a mapping, which must be read to its end.
    fn mapping<'de, A: MapAccess<'de>>(mapping: A) -> Result<Option<Self>, A::Error> {
        IgnoredAny.visit_map(mapping).map(|_| None)
    }
}

impl Part for String {
    const WANTED: &'static str = "a text";

    fn text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Part for bool {
    const WANTED: &'static str = "true or false";

    fn flag(flag: bool) -> Option<Self> {
        Some(flag)
    }
}

impl<T: Part> Part for Vec<Field<T>> {
    const WANTED: &'static str = "a list";

    fn list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut all = Self::new();
        while let Some(one) = list.next_element()? {
            all.push(one);
        }
        Ok(Some(all))
    }
}

impl<'de, T: Part> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

struct Any<T>(PhantomData<T>);

impl<T> Any<T> {
    fn other<E>(found: impl fmt::Display) -> Result<Field<T>, E> {
        Ok(Field::Unreadable(found.to_string().into()))
    }
}

/// Whatever JSON can hold is taken, so that only broken JSON is an error.
impl<'de, T: Part> Visitor<'de> for Any<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WANTED)
    }

    fn visit_unit<E>(self) -> Result<Field<T>, E> {
        Ok(Field::Absent)
    }

    fn visit_none<E>(self) -> Result<Field<T>, E> {
        Ok(Field::Absent)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field<T>, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Field<T>, E> {
        T::flag(flag).map_or_else(|| Self::other(flag), |read| Ok(Field::Read(read)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Field<T>, E> {
        Self::other(number)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Field<T>, E> {
        Self::other(number)
    }

    fn visit_f64<E>(self, number: f64) -> Result<Field<T>, E> {
        Self::other(number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Field<T>, E> {
        T::text(text).map_or_else(|| Self::other(quoted(text)), |read| Ok(Field::Read(read)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Field<T>, A::Error> {
        T::list(list)?.map_or_else(|| Self::other("a list"), |read| Ok(Field::Read(read)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mapping: A) -> Result<Field<T>, A::Error> {
        T::mapping(mapping)?.map_or_else(|| Self::other("a mapping"), |read| Ok(Field::Read(read)))
    }
}
