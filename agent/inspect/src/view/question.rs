//! What is asked for: the choices of the command line and of the keys.

use clap::ValueEnum;
use form_urlencoded::Serializer;

/// What one row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Group {
    /// Two workloads, or a workload and what it speaks with.
    Pair,
    /// A workload and everything it speaks with, by scope.
    Workload,
    /// A pod and everything it speaks with, by scope, in the last drain.
    Pod,
    /// A conversation of the last drain, those by way of a Service together.
    Connection,
}

/// Over which time rates are a mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Window {
    /// A minute.
    #[value(name = "1m")]
    Minute,
    /// Five minutes.
    #[value(name = "5m")]
    FiveMinutes,
    /// An hour.
    #[value(name = "1h")]
    Hour,
    /// A day, which only a store knows.
    #[value(name = "1d")]
    Day,
    /// Since the agent's start.
    Start,
}

/// What comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Dollars a month, then bytes of both directions.
    Dollars,
    /// Bytes of both directions within the window.
    Total,
    /// Bytes from the first end.
    Transmit,
    /// Bytes to the first end.
    Receive,
    /// Names of the ends.
    Name,
}

/// As it is typed.
pub(crate) fn word(value: &impl ValueEnum) -> String {
    let shown = value.to_possible_value();
    shown.map_or(String::new(), |shown| shown.get_name().to_owned())
}

/// The value after this one of `all`; the first one after the last.
pub(crate) fn next<T: PartialEq + Copy>(value: T, all: &[T]) -> T {
    let at = all.iter().position(|one| *one == value).unwrap_or_default();
    all.get((at + 1) % all.len()).copied().unwrap_or(value)
}

/// One question to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) group: Group,
    pub(crate) window: Window,
    pub(crate) sort: Sort,
    pub(crate) scope: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) search: String,
    /// Rows to be answered at most.
    pub(crate) limit: usize,
    /// Each connection to a Service is a row of its own.
    pub(crate) unfolded: bool,
}

/// What groups other than pairs are made of: all that an agent gives.
const ALL: usize = 10_000;

impl Question {
    /// Path and query of the agent's answer; rows are made of it.
    pub(crate) fn path(&self) -> String {
        match self.group {
            Group::Pair => self.pairs(self.limit),
            Group::Workload => self.pairs(ALL),
            Group::Pod | Group::Connection => self.flows(),
        }
    }

    /// Path and query of pairs, `limit` of them at most.
    pub(crate) fn pairs(&self, limit: usize) -> String {
        let mut query = self.filters();
        query
            .append_pair("window", &word(&self.window))
            .append_pair("sort", &word(&self.sort));
        if !self.search.is_empty() {
            query.append_pair("search", &self.search);
        }
        query.append_pair("limit", &limit.to_string());
        format!("/api/pairs?{}", query.finish())
    }

    fn flows(&self) -> String {
        let mut query = self.filters();
        query.append_pair("limit", &ALL.to_string());
        format!("/api/flows?{}", query.finish())
    }

    fn filters(&self) -> Serializer<'static, String> {
        let mut query = Serializer::new(String::new());
        let filters = [("scope", &self.scope), ("namespace", &self.namespace)];
        for (name, value) in filters {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(group: Group) -> Question {
        Question {
            group,
            window: Window::FiveMinutes,
            sort: Sort::Total,
            scope: Some("cross_zone".to_owned()),
            namespace: None,
            search: "10.0.0.0/8 & more".to_owned(),
            limit: 7,
            unfolded: false,
        }
    }

    #[test]
    fn a_question_is_a_path_whatever_is_searched_for() {
        assert_eq!(
            question(Group::Pair).path(),
            "/api/pairs?scope=cross_zone&window=5m&sort=total\
             &search=10.0.0.0%2F8+%26+more&limit=7"
        );
        assert_eq!(
            question(Group::Connection).path(),
            "/api/flows?scope=cross_zone&limit=10000"
        );
    }

    #[test]
    fn the_first_choice_follows_the_last() {
        let all = Group::value_variants();
        assert_eq!(next(Group::Pair, all), Group::Workload);
        assert_eq!(next(Group::Connection, all), Group::Pair);
        assert_eq!(word(&Window::Minute), "1m");
    }
}
