//! What AWS prints, turned into files that nobody types: address ranges into a networks file, price
//! lists into a rules file ([`prices`]). Texts in, a text out.

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

mod aggregate;
mod answers;
mod input;
mod interfaces;
mod ip_ranges;
pub mod prices;
mod routes;
mod subnets;
mod table;
mod vpc;
mod yaml;

use input::Input;
use routes::Wanted;
use table::Table;

/// Flags of `zonemeter networks`. `-` in place of a file is the standard input.
#[derive(Clone, Debug, Default, Args)]
#[group(skip)]
pub struct NetworksArgs {
    /// Zones by subnet: what `aws ec2 describe-subnets` prints
    #[arg(long, value_name = "FILE")]
    pub subnets: Option<PathBuf>,

    /// Names and zones of databases, load balancers, endpoints: what `aws ec2
    /// describe-network-interfaces` prints
    #[arg(long, value_name = "FILE")]
    pub interfaces: Option<PathBuf>,

    /// The VPC's own ranges: what `aws ec2 describe-vpcs` prints
    #[arg(long, value_name = "FILE")]
    pub vpcs: Option<PathBuf>,

    /// By what each subnet's traffic leaves the VPC: what `aws ec2 describe-route-tables` prints;
    /// needs --subnets
    #[arg(long, value_name = "FILE", requires = "subnets")]
    pub route_tables: Option<PathBuf>,

    /// The zones of NAT gateways: what `aws ec2 describe-nat-gateways` prints
    #[arg(long, value_name = "FILE")]
    pub nat_gateways: Option<PathBuf>,

    /// The services that endpoints are for: what `aws ec2 describe-vpc-endpoints` prints
    #[arg(long, value_name = "FILE")]
    pub vpc_endpoints: Option<PathBuf>,

    /// The VPC of the cluster; needed where the files tell of several
    #[arg(long, value_name = "VPC-ID")]
    pub vpc: Option<String>,

    /// Addresses of AWS's own services: AWS's published ip-ranges.json
    #[arg(long, value_name = "FILE")]
    pub ip_ranges: Option<PathBuf>,

    /// The region whose services are meant
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,

    /// Services to take from ip-ranges.json; where ranges are shared, the first one has them
    #[arg(
        long,
        value_name = "SERVICE",
        value_delimiter = ',',
        default_value = "S3,DYNAMODB"
    )]
    pub services: Vec<String>,
}

/// The texts that the flags name.
struct Inputs {
    subnets: Option<Input>,
    interfaces: Option<Input>,
    vpcs: Option<Input>,
    route_tables: Option<Input>,
    nat_gateways: Option<Input>,
    vpc_endpoints: Option<Input>,
    ip_ranges: Option<Input>,
}

/// A networks file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The file.
    pub text: String,
    /// What the reader of the file should know: a line each.
    pub notes: Vec<String>,
}

/// Writes the networks file.
///
/// # Errors
/// One line with the file and the place in it, for the first thing that is not as AWS prints it.
pub fn write(args: &NetworksArgs) -> Result<Written> {
    let file = convert(&read(args)?, args)?;
    Ok(Written {
        text: yaml::write(&file),
        notes: file.notes,
    })
}

/// The networks file.
fn convert(inputs: &Inputs, args: &NetworksArgs) -> Result<yaml::File> {
    let vpcs = vpc::parse(inputs.vpcs.as_ref())?;
    let subnets = subnets::parse(inputs.subnets.as_ref())?;
    let interfaces = interfaces::parse(inputs.interfaces.as_ref())?;
    let routes = routes::parse(
        inputs.route_tables.as_ref(),
        inputs.nat_gateways.as_ref(),
        inputs.vpc_endpoints.as_ref(),
        inputs.interfaces.is_some(),
    )?;
    let [of_tables, of_gateways, of_endpoints] = routes.vpc_ids();
    let lists = [
        (&inputs.vpcs, vpcs.ids().collect()),
        (&inputs.subnets, subnets.vpc_ids().collect()),
        (&inputs.interfaces, interfaces.vpc_ids().collect()),
        (&inputs.route_tables, of_tables),
        (&inputs.nat_gateways, of_gateways),
        (&inputs.vpc_endpoints, of_endpoints),
    ];
    let mentioned = lists.iter().flat_map(|(_, ids)| ids).copied();
    let vpc = vpc::choose(mentioned, args.vpc.as_deref())?;
    let is_meant = |id: &str| vpc.as_deref() == Some(id);

    let mut table = Table::default();
    let mut file = yaml::File {
        vpc: vpcs.ranges(is_meant)?,
        notes: empty_lists(&lists, vpc.as_deref()),
        ..yaml::File::default()
    };
    let services: Vec<String> = args
        .services
        .iter()
        .map(|name| name.to_lowercase())
        .collect();
    let (zones, mut notes) = (subnets.zones(), BTreeSet::new());
    let wanted = Wanted {
        services: &services,
        zones: &zones,
    };
    subnets.add_to(&mut table, is_meant, |subnet, is_v6| {
        routes.ways(subnet, is_v6, wanted, &mut notes)
    })?;
    file.notes.extend(notes);
    let zone_ids = subnets.zone_ids();
    file.left_out = interfaces.add_to(&mut table, &zone_ids, &routes, is_meant)?;
    if let Some(input) = &inputs.ip_ranges {
        let region = args.region.as_deref();
        let region = region.context("--ip-ranges needs --region, like --region us-east-2")?;
        let edition = ip_ranges::add_to(&mut table, input, region, &args.services)?;
        file.services = Some(edition);
    }
    file.id = vpc;
    file.entries = aggregate::aggregate(table.into_entries());
    Ok(file)
}

/// A line for each list that has nothing of the VPC.
fn empty_lists(lists: &[(&Option<Input>, Vec<&str>)], vpc: Option<&str>) -> Vec<String> {
    let empty = lists
        .iter()
        .filter(|(_, ids)| !ids.iter().any(|id| vpc == Some(id)));
    let notes = empty.filter_map(|(input, _)| Some(nothing_in(input.as_ref()?, vpc)));
    notes.collect()
}

/// An empty list is an answer, and more often a wrong filter or region.
fn nothing_in(input: &Input, vpc: Option<&str>) -> String {
    let of = vpc.map_or(String::new(), |vpc| format!(" of {vpc}"));
    format!(
        "{}: lists nothing{of}: is the region or a filter wrong?",
        input.name
    )
}

fn read(args: &NetworksArgs) -> Result<Inputs> {
    let flags = [
        ("--subnets", &args.subnets),
        ("--interfaces", &args.interfaces),
        ("--vpcs", &args.vpcs),
        ("--route-tables", &args.route_tables),
        ("--nat-gateways", &args.nat_gateways),
        ("--vpc-endpoints", &args.vpc_endpoints),
        ("--ip-ranges", &args.ip_ranges),
    ];
    let from_stdin =
        |(_, path): &&(&str, &Option<PathBuf>)| path.as_deref() == Some(input::stdin());
    let stdins: Vec<&str> = flags.iter().filter(from_stdin).map(|flag| flag.0).collect();
    if let [first, second, ..] = stdins[..] {
        bail!("{first} - and {second} - both read the standard input: give one of them a file");
    }
    ensure!(
        flags.iter().any(|(_, path)| path.is_some()),
        "nothing to read: give at least one of --subnets, --interfaces, --vpcs, --ip-ranges"
    );
    let read = |(flag, path): (&str, &Option<PathBuf>)| {
        let read = path.as_deref().map(|path| input::read(flag, path));
        read.transpose()
    };
    let [subnets, interfaces, vpcs, rest @ ..] = flags;
    let [route_tables, nat_gateways, vpc_endpoints, ip_ranges] = rest;
    Ok(Inputs {
        subnets: read(subnets)?,
        interfaces: read(interfaces)?,
        vpcs: read(vpcs)?,
        route_tables: read(route_tables)?,
        nat_gateways: read(nat_gateways)?,
        vpc_endpoints: read(vpc_endpoints)?,
        ip_ranges: read(ip_ranges)?,
    })
}

#[cfg(test)]
mod tests;
