//! What AWS prints, turned into files that nobody types: address ranges into a networks file, price
//! lists into a rules file ([`prices`]). Texts in, a text out.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

mod aggregate;
mod answers;
mod input;
mod interfaces;
mod ip_ranges;
pub mod prices;
mod subnets;
mod table;
mod vpc;
mod yaml;

use input::Input;
use table::Table;

/// Flags of `zonemeter networks`. `-` in place of a file is the standard input.
#[derive(Clone, Debug, Default, Args)]
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
    let mentioned = vpcs
        .ids()
        .chain(subnets.vpc_ids())
        .chain(interfaces.vpc_ids());
    let vpc = vpc::choose(mentioned, args.vpc.as_deref())?;
    let is_meant = |id: &str| vpc.as_deref() == Some(id);

    let mut table = Table::default();
    let mut file = yaml::File {
        vpc: vpcs.ranges(is_meant)?,
        ..yaml::File::default()
    };
    let counts = [
        (
            inputs.vpcs.as_ref(),
            vpcs.ids().filter(|id| is_meant(id)).count(),
        ),
        (
            inputs.subnets.as_ref(),
            subnets.vpc_ids().filter(|id| is_meant(id)).count(),
        ),
        (
            inputs.interfaces.as_ref(),
            interfaces.vpc_ids().filter(|id| is_meant(id)).count(),
        ),
    ];
    for (input, _) in counts.iter().filter(|(_, count)| *count == 0) {
        file.notes
            .extend(input.map(|input| nothing_in(input, vpc.as_deref())));
    }
    subnets.add_to(&mut table, is_meant)?;
    file.left_out = interfaces.add_to(&mut table, &subnets.zone_ids(), is_meant)?;
    if let Some(input) = &inputs.ip_ranges {
        let region = args.region.as_deref();
        let region = region.context("--ip-ranges needs --region, like --region us-east-2")?;
        file.services = Some(ip_ranges::add_to(
            &mut table,
            input,
            region,
            &args.services,
        )?);
    }
    file.id = vpc;
    file.entries = aggregate::aggregate(table.into_entries());
    Ok(file)
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
    let [subnets, interfaces, vpcs, ip_ranges] = flags.map(|(flag, path)| {
        let read = path.as_deref().map(|path| input::read(flag, path));
        read.transpose()
    });
    Ok(Inputs {
        subnets: subnets?,
        interfaces: interfaces?,
        vpcs: vpcs?,
        ip_ranges: ip_ranges?,
    })
}

#[cfg(test)]
mod tests;
