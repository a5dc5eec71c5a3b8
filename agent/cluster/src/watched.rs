//! A [`Wire`] object as `kube` wants to watch it.

use std::borrow::Cow;

use kube::{
    Resource,
    core::{ClusterResourceScope, ObjectMeta},
};
use serde::{Deserialize, Deserializer};

use super::{
    field::Field,
    wire::{self, Metadata, Wire},
};

/// An object with the one piece of metadata that a watch goes on by.
#[derive(Clone, Debug)]
pub(super) struct Watched<W> {
    metadata: ObjectMeta,
    /// The object.
    pub(super) object: W,
}

impl<W: Wire> Watched<W> {
    /// `metadata.resourceVersion` as a number: versions of one server are comparable, which
    /// Kubernetes has always kept and promises since 1.35 (KEP-5504).
    pub(super) fn version(&self) -> u64 {
        let version = self.metadata.resource_version.as_deref();
        version
            .and_then(|version| version.parse().ok())
            .unwrap_or_default()
    }
}

impl<'de, W: Wire> Deserialize<'de> for Watched<W> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object: W = wire::object(deserializer)?;
        let resource_version = match object.metadata() {
            Field::Read(Metadata {
                resource_version: Field::Read(version),
                ..
            }) => Some(version.clone()),
            _ => None,
        };
        Ok(Self {
            metadata: ObjectMeta {
                resource_version,
                ..ObjectMeta::default()
            },
            object,
        })
    }
}

/// Watched in all namespaces at once, so the path is that of a cluster-wide kind.
impl<W: Wire> Resource for Watched<W> {
    type DynamicType = ();
    type Scope = ClusterResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        W::KIND.name().into()
    }

    fn group((): &()) -> Cow<'_, str> {
        W::GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        W::VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        W::PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
