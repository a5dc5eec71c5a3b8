//! A list of the API, decoded while it arrives: neither its text nor its objects are ever held
//! as a whole. `kube` collects a body before it decodes it, which takes 117 MB for 10,000 pods.

use std::{
    fmt,
    io::{self, BufReader, Read},
    marker::PhantomData,
    time::Duration,
};

use futures::TryStreamExt;
use http_body_util::BodyExt;
use hyper::body::Bytes;
use kube::client::Body;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use tokio::sync::mpsc;
use zonemeter_model::syntax;

use super::{watch::Event, watched::Watched, wire::Wire};

/// A server that sends nothing of a list for so long counts as failing.
const NEXT_PIECE_WITHIN: Duration = Duration::from_secs(30);
/// Pieces of the body, of up to some 100 KB each, that wait for their decoding.
const WAITING: usize = 1;

/// Sends each item of the list as [`Event::InitApply`]; the list's `resourceVersion`. Decodes on
/// a thread of its own, which ends with the body.
///
/// # Errors
/// The body ended early or stopped, or is no list, or nobody takes the events.
pub(super) async fn list<W: Wire>(
    body: Body,
    events: mpsc::Sender<Event<W>>,
) -> io::Result<String> {
    let (pieces, received) = mpsc::channel(WAITING);
    let decoding = tokio::task::spawn_blocking(move || {
        let reader = BufReader::new(Received {
            pieces: received,
            piece: Bytes::new(),
        });
        decode(reader, &mut |item| {
            let taken = events.blocking_send(Event::InitApply(item));
            taken.map_err(|_| "nobody takes the objects any more")
        })
    });
    let (decoded, ()) = tokio::join!(decoding, pass(body, pieces));
    decoded.map_err(io::Error::other)?
}

/// Passes the body on until it ends or fails, or is not wanted any more.
async fn pass(body: Body, pieces: mpsc::Sender<io::Result<Bytes>>) {
    let mut body = body.into_data_stream().map_err(io::Error::other);
    loop {
        let piece = match tokio::time::timeout(NEXT_PIECE_WITHIN, body.try_next()).await {
            Ok(piece) => piece.transpose(),
            Err(late) => Some(Err(io::Error::new(io::ErrorKind::TimedOut, late))),
        };
        let Some(piece) = piece else { return };
        let last = piece.is_err();
        if pieces.send(piece).await.is_err() || last {
            return;
        }
    }
}

/// The body for a reader that blocks.
struct Received {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Received {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len());
        buffer[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

fn decode<W: Wire>(input: impl Read, take: &mut Take<'_, W>) -> io::Result<String> {
    let mut json = serde_json::Deserializer::from_reader(input);
    let version = List(take).deserialize(&mut json);
    let read = version.and_then(|version| json.end().map(|()| version));
    read.map_err(|error| match error.is_io() {
        true => error.into(),
        false => io::Error::other(syntax::json(&error).to_string()),
    })
}

/// Takes an item, or says why the list is not wanted any more.
type Take<'a, W> = dyn FnMut(Watched<W>) -> Result<(), &'static str> + 'a;

/// The list's outer object: its version.
struct List<'a, 't, W>(&'a mut Take<'t, W>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    resource_version: String,
}

impl<'de, W: Wire> DeserializeSeed<'de> for List<'_, '_, W> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, W: Wire> Visitor<'de> for List<'_, '_, W> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}", W::PLURAL)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        let (mut metadata, mut items) = (None::<ListMeta>, false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "metadata" => metadata = Some(map.next_value()?),
                "items" => {
                    map.next_value_seed(Items(self.0, PhantomData))?;
                    items = true;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        match metadata {
            Some(metadata) if items => Ok(metadata.resource_version),
            _ => Err(A::Error::custom(
                "the answer has no metadata or no items: it is no list of Kubernetes",
            )),
        }
    }
}

struct Items<'a, 't, W>(&'a mut Take<'t, W>, PhantomData<W>);

impl<'de, W: Wire> DeserializeSeed<'de> for Items<'_, '_, W> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, W: Wire> Visitor<'de> for Items<'_, '_, W> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of items of {}", W::PLURAL)
    }

    /// How Go writes a slice that was never made.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element()? {
            (self.0)(item).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::wire::Node, *};

    /// The names of the items, and the version or the error.
    fn decoded(text: &str) -> (Vec<String>, Result<String, String>) {
        let mut names = Vec::new();
        let version = decode::<Node>(text.as_bytes(), &mut |item| {
            let name = super::super::trim::shown(&item.object.metadata);
            names.push(name);
            Ok(())
        });
        (names, version.map_err(|error| error.to_string()))
    }

    #[test]
    fn the_version_may_come_before_or_after_the_items() {
        let items = r#""items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]"#;
        let version = r#""metadata":{"resourceVersion":"7"},"kind":"NodeList""#;
        for text in [
            format!("{{{version},{items}}}"),
            format!("{{{items},{version}}}\n"),
        ] {
            assert_eq!(
                decoded(&text),
                (vec!["a".to_owned(), "b".to_owned()], Ok("7".to_owned()))
            );
        }
        for empty in ["null", "[]"] {
            let text = format!(r#"{{{version},"items":{empty}}}"#);
            assert_eq!(decoded(&text), (vec![], Ok("7".to_owned())));
        }
    }

    #[test]
    fn an_item_that_cannot_be_read_costs_itself_only() {
        for bad in [
            r#"{"metadata":{"name":"b","labels":7},"status":{"addresses":{}}}"#,
            r#"{"metadata":{"name":"b","labels":[{}]},"status":[[[{"a":null}]]]}"#,
            r#"{"metadata":{"name":"b","creationTimestamp":"yesterday"}}"#,
        ] {
            let items = format!(r#"{{"metadata":{{"name":"a"}}}},{bad},7,null,[],"x","#);
            let text = format!(
                r#"{{"metadata":{{"resourceVersion":"7"}},"items":[{items}{{"metadata":{{"name":"c"}}}}]}}"#
            );
            let names = ["a", "b", "?", "?", "?", "?", "c"].map(str::to_owned);
            assert_eq!(
                decoded(&text),
                (names.to_vec(), Ok("7".to_owned())),
                "{bad}"
            );
        }
    }

    #[test]
    fn what_is_cut_short_or_no_list_has_no_version() {
        let whole = r#"{"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"a"}}]}"#;
        assert!(decoded(whole).1.is_ok());
        for end in 0..whole.len() {
            assert!(decoded(&whole[..end]).1.is_err(), "{end}");
        }
        let status = r#"{"kind":"Status","metadata":{"resourceVersion":"7"}}"#;
        assert!(decoded(status).1.unwrap_err().contains("no list"));
        assert!(decoded(&format!("{whole}{whole}")).1.is_err());
    }
}
