//! The resources in what the AWS CLI printed, whatever flags it was run with: answers, pages of
//! answers, lists and single resources that `--query` or a create command left, JSON or YAML.
//!
//! Which kind a resource is of is told by its id. Whatever is not a resource of the wanted kind is
//! refused: nothing that was given is taken for "none" in silence.

use anyhow::{Result, anyhow, bail};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use zonemeter_model::syntax;

use super::input::Input;

/// A kind of resource as AWS names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// The key of the list in an answer.
    pub(super) list: &'static str,
    /// The key of a resource's id.
    id: &'static str,
    /// The flag that takes it.
    pub(super) flag: &'static str,
    /// What prints it.
    pub(super) command: &'static str,
}

pub(super) const SUBNETS: Kind = Kind {
    list: "Subnets",
    id: "SubnetId",
    flag: "--subnets",
    command: "aws ec2 describe-subnets",
};
pub(super) const INTERFACES: Kind = Kind {
    list: "NetworkInterfaces",
    id: "NetworkInterfaceId",
    flag: "--interfaces",
    command: "aws ec2 describe-network-interfaces",
};
pub(super) const VPCS: Kind = Kind {
    list: "Vpcs",
    id: "VpcId",
    flag: "--vpcs",
    command: "aws ec2 describe-vpcs",
};

pub(super) const ROUTE_TABLES: Kind = Kind {
    list: "RouteTables",
    id: "RouteTableId",
    flag: "--route-tables",
    command: "aws ec2 describe-route-tables",
};
pub(super) const NAT_GATEWAYS: Kind = Kind {
    list: "NatGateways",
    id: "NatGatewayId",
    flag: "--nat-gateways",
    command: "aws ec2 describe-nat-gateways",
};
pub(super) const ENDPOINTS: Kind = Kind {
    list: "VpcEndpoints",
    id: "VpcEndpointId",
    flag: "--vpc-endpoints",
    command: "aws ec2 describe-vpc-endpoints",
};

/// The first id that a resource has tells its kind: a NAT gateway and an interface are in a subnet,
/// and all are in a VPC.
const KINDS: [&Kind; 6] = [
    &NAT_GATEWAYS,
    &ENDPOINTS,
    &ROUTE_TABLES,
    &INTERFACES,
    &SUBNETS,
    &VPCS,
];

/// A resource and where it stands in the file.
#[derive(Clone, Debug)]
pub(super) struct Resource<T> {
    /// Like `Subnets[3]`.
    pub(super) place: String,
    pub(super) of: T,
}

impl Input {
    /// All resources of the kind.
    ///
    /// # Errors
    /// The first thing that is no such resource, with its place and what to give instead.
    pub(super) fn resources<T: DeserializeOwned>(&self, kind: &Kind) -> Result<Vec<Resource<T>>> {
        let mut gathered = Gathered {
            input: self,
            kind,
            resources: Vec::new(),
            is_cut_short: false,
        };
        let documents = self.documents(kind)?;
        let is_single = documents.len() == 1;
        for (index, document) in documents.into_iter().enumerate() {
            let place = match is_single {
                true => String::new(),
                false => format!("document {} ", index + 1),
            };
            gathered.value(place, document)?;
        }
        if gathered.is_cut_short {
            bail!(
                "{}: NextToken: the list is cut short: run `{}` without --max-items and \
                 --no-paginate",
                self.name,
                kind.command
            );
        }
        let typed = |(place, resource)| self.typed(kind, place, resource);
        gathered.resources.into_iter().map(typed).collect()
    }

    fn typed<T: DeserializeOwned>(
        &self,
        kind: &Kind,
        place: String,
        resource: Map<String, Value>,
    ) -> Result<Resource<T>> {
        let id = text(&resource, kind.id).unwrap_or_default().to_owned();
        match serde_json::from_value(Value::Object(resource)) {
            Ok(of) => Ok(Resource { place, of }),
            Err(error) => {
                let (name, command) = (&self.name, kind.command);
                let problem = syntax::json(&error).problem;
                bail!("{name}: {place} ({id}): {problem}: give what `{command}` prints, in full")
            }
        }
    }

    /// What was printed: JSON, several of it one after the other, or YAML.
    fn documents(&self, kind: &Kind) -> Result<Vec<Value>> {
        let text = self.checked_text()?;
        let json: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text)
            .into_iter()
            .collect();
        let fault = match json {
            Ok(documents) => return Ok(documents),
            Err(error) => syntax::json(&error),
        };
        let unbounded = serde_saphyr::options! { budget: None };
        let yaml = serde_saphyr::from_multiple_with_options::<Value>(text, unbounded);
        match yaml {
            Ok(documents) if documents.iter().all(|one| !one.is_string()) => Ok(documents),
            _ if text.starts_with(['{', '[']) => Err(anyhow!("{}: {fault}", self.name)),
            _ => bail!(
                "{}: this is neither JSON nor YAML: run `{}` with --output json",
                self.name,
                kind.command
            ),
        }
    }
}

struct Gathered<'a> {
    input: &'a Input,
    kind: &'a Kind,
    resources: Vec<(String, Map<String, Value>)>,
    /// True while the last answer names a page that follows.
    is_cut_short: bool,
}

impl Gathered<'_> {
    fn value(&mut self, place: String, value: Value) -> Result<()> {
        match value {
            Value::Object(mut object) => {
                // `--query` writes null for what it does not find.
                object.retain(|_, value| !value.is_null());
                self.object(place, object)
            }
            Value::Array(list) => {
                for (index, value) in list.into_iter().enumerate() {
                    self.value(format!("{place}[{index}]"), value)?;
                }
                Ok(())
            }
            Value::Null => Err(self.wrong(&place, "null: did the --query find nothing?")),
            Value::String(_) | Value::Number(_) | Value::Bool(_) => {
                Err(self.wrong(&place, "a bare value: a --query has cut out too much"))
            }
        }
    }

    fn object(&mut self, place: String, mut object: Map<String, Value>) -> Result<()> {
        let Kind { list, .. } = self.kind;
        let single = list.trim_end_matches('s');
        if let Some(answer) = object.remove(*list) {
            self.is_cut_short = object.contains_key("NextToken");
            return match answer {
                Value::Array(_) => self.value(format!("{place}{list}"), answer),
                _ => Err(self.wrong(&format!("{place}{list}"), "no list")),
            };
        }
        match object.remove(single) {
            Some(resource @ Value::Object(_)) => self.value(format!("{place}{single}"), resource),
            Some(_) => Err(self.wrong(&format!("{place}{single}"), "no resource")),
            None => self.resource(place, object),
        }
    }

    fn resource(&mut self, place: String, resource: Map<String, Value>) -> Result<()> {
        let place = match &*place {
            "" => "the resource".to_owned(),
            place => place.to_owned(),
        };
        let found = KINDS.iter().find(|kind| resource.contains_key(kind.id));
        match found {
            Some(found) if *found == self.kind => {}
            Some(found) => {
                let problem = format!("of {}: give it to {}", found.list, found.flag);
                return Err(self.wrong(&place, &problem));
            }
            None => {
                let keys: Vec<&str> = resource.keys().take(3).map(String::as_str).collect();
                let problem = match keys.is_empty() {
                    true => "empty".to_owned(),
                    false => format!("of another kind: it has {}", keys.join(", ")),
                };
                return Err(self.wrong(&place, &problem));
            }
        }
        for key in [self.kind.id, VPCS.id] {
            if text(&resource, key).is_none_or(str::is_empty) {
                let name = &self.input.name;
                let command = self.kind.command;
                bail!("{name}: {place}: {key} is missing: give what `{command}` prints, in full");
            }
        }
        self.resources.push((place, resource));
        Ok(())
    }

    fn wrong(&self, place: &str, problem: &str) -> anyhow::Error {
        let (name, Kind { list, command, .. }) = (&self.input.name, self.kind);
        let place = match place {
            "" => "it".to_owned(),
            place => format!("{:?}", place.trim_end()),
        };
        anyhow!(
            "{name}: no {list:?}: {place} is {problem}; give what `{command} --output json` prints"
        )
    }
}

fn text<'a>(resource: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    resource.get(key).and_then(Value::as_str)
}
