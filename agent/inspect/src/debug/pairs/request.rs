//! What is asked of `/api/pairs`.

use std::time::Duration;

use zonemeter_model::snapshot::Scope;

use super::{
    super::{
        answer::Refusal,
        flows::{limit, scope, scopes},
        query::Parameters,
    },
    search::Search,
};

const DEFAULT_LIMIT: usize = 100;

/// The parameters, checked.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) window: Window,
    pub(super) sort: Sort,
    pub(super) scope: Option<Scope>,
    /// Of either end.
    pub(super) namespace: Option<String>,
    pub(super) search: Option<Search>,
    pub(super) limit: usize,
}

/// The time over which a mean is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    Minute,
    FiveMinutes,
    Hour,
    Start,
}

/// What comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Dollars,
    Total,
    Transmit,
    Receive,
    Name,
}

impl Request {
    /// Reads the parameters.
    pub(super) fn new(pairs: Vec<(String, String)>) -> Result<Self, Refusal> {
        let known = ["window", "sort", "scope", "namespace", "search", "limit"];
        let parameters = Parameters::new(pairs, &known)?;
        let window = parameters.read("window", "1m, 5m, 1h or start", Window::of)?;
        let sort = "dollars, total, transmit, receive or name";
        Ok(Self {
            window: window.unwrap_or(Window::FiveMinutes),
            sort: parameters
                .read("sort", sort, Sort::of)?
                .unwrap_or(Sort::Total),
            scope: parameters.read("scope", &scopes(), scope)?,
            namespace: parameters.text("namespace").map(str::to_owned),
            search: parameters.text("search").map(Search::new),
            limit: parameters
                .read("limit", "a number from 1 to 10000", limit)?
                .unwrap_or(DEFAULT_LIMIT),
        })
    }
}

impl Window {
    const ALL: [Self; 4] = [Self::Minute, Self::FiveMinutes, Self::Hour, Self::Start];

    fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|window| window.name() == text)
    }

    /// As it is asked for.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
            Self::Start => "start",
        }
    }

    /// `None` for all the time since the start.
    pub(super) fn length(self) -> Option<Duration> {
        match self {
            Self::Minute => Some(Duration::from_secs(60)),
            Self::FiveMinutes => Some(Duration::from_secs(300)),
            Self::Hour => Some(Duration::from_secs(3600)),
            Self::Start => None,
        }
    }
}

impl Sort {
    fn of(text: &str) -> Option<Self> {
        Some(match text {
            "dollars" => Self::Dollars,
            "total" => Self::Total,
            "transmit" => Self::Transmit,
            "receive" => Self::Receive,
            "name" => Self::Name,
            _ => return None,
        })
    }
}
