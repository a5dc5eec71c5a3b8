//! `zonemeter top`: who speaks with whom and what it costs, live in a terminal.
//!
//! [`question`] is what is asked, [`source`] asks it, [`reading`] and [`fold`] make rows of the
//! answers. [`state`] and [`screen`] are the terminal without IO, [`live`] is the IO; [`plain`] is
//! the table where there is no terminal.

use anyhow::{Result, bail};
use clap::{Args, builder::PossibleValuesParser};

use crate::{
    client::Client,
    store::{Access, Address, Store},
    view::{Group, Question, Sort, Source, Window},
};
use zonemeter_io::number;
use zonemeter_io::output;
use zonemeter_model::snapshot::Scope;

mod columns;
mod head;
mod live;
mod plain;
mod screen;
mod state;
mod units;
mod why;
mod zones;

/// Rows of a table that is printed, as `/api/pairs` has it.
const DEFAULT_LIMIT: u16 = 100;
/// Rows that a terminal can scroll through.
const LIVE_LIMIT: u16 = 1000;

/// Flags of `zonemeter top`.
#[derive(Clone, Debug, Args)]
pub struct TopArgs {
    /// Debug listeners of the agents to ask, repeatable: what two of them saw is one row
    #[arg(
        long = "url",
        env = "ZONEMETER_URL",
        value_name = "URL",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:9465"
    )]
    pub urls: Vec<Client>,

    /// Prometheus-compatible store to ask in place of agents: the whole cluster
    #[arg(
        long,
        env = "ZONEMETER_PROMETHEUS",
        value_name = "URL",
        conflicts_with = "urls"
    )]
    pub prometheus: Option<Address>,

    /// How to reach that store.
    #[command(flatten)]
    pub access: Access,

    /// What a row is
    #[arg(long, value_enum, default_value = "pair")]
    pub group: Group,

    /// Over which time rates are a mean: 1m, 5m, 1h or start; with --prometheus 5m, 1h or 1d
    #[arg(long, value_enum, default_value = "5m")]
    pub window: Window,

    /// What comes first [default: dollars on a terminal, else total]
    #[arg(long, value_enum)]
    pub sort: Option<Sort>,

    /// Only this scope
    #[arg(long, value_parser = PossibleValuesParser::new(Scope::ALL.map(Scope::name)))]
    pub scope: Option<String>,

    /// Only workloads of this namespace, and their peers
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,

    /// Only rows with this part of a name, namespace/name, Service or CIDR
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub search: String,

    /// Rows to print [default: 100]
    #[arg(long, value_name = "N", value_parser = number::<u16>(1, 10_000))]
    pub limit: Option<u16>,

    /// Each connection to a Service in a row of its own, with --group connection
    #[arg(long)]
    pub unfolded: bool,

    /// Print one table and end; so it is when the output is no terminal
    #[arg(long)]
    pub once: bool,

    /// Print JSON in the shape of /api/pairs and end
    #[arg(long)]
    pub json: bool,
}

impl TopArgs {
    fn question(&self, live: bool) -> Question {
        let (sort, limit) = match live {
            true => (Sort::Dollars, LIVE_LIMIT),
            false => (Sort::Total, DEFAULT_LIMIT),
        };
        Question {
            group: self.group,
            window: self.window,
            sort: self.sort.unwrap_or(sort),
            scope: self.scope.clone(),
            namespace: self.namespace.clone(),
            search: self.search.clone(),
            limit: self.limit.unwrap_or(limit).into(),
            unfolded: self.unfolded,
        }
    }
}

/// Shows the table until it is quit, or prints it once.
///
/// # Errors
/// As [`Client::get`] where one table is printed; on a terminal failures are shown in the table.
pub async fn run(args: &TopArgs) -> Result<()> {
    let source = match &args.prometheus {
        Some(address) => Source::Store(Store::new(address, &args.access)?),
        None => Source::Agents(args.urls.clone()),
    };
    if !args.once && !args.json && live::is_possible() {
        return live::run(source, args.question(true)).await;
    }
    let question = args.question(false);
    let reading = source.read(&question).await?;
    if !reading.failed.is_empty() {
        bail!("{}", reading.failed.join("; "));
    }
    output::print(&match args.json {
        true => serde_json::to_string(&reading.document(question.limit))? + "\n",
        false => plain::render(&reading, &question, question.limit),
    })
}
