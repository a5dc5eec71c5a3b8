//! Flags that say how to reach a store.

use std::{path::PathBuf, str::FromStr};

use clap::Args;
use hyper::{
    Uri,
    header::{HeaderName, HeaderValue},
};

/// Base URL of a Prometheus-compatible API: what stands before `/api/v1/query`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(pub(super) Uri);

const ACCEPTED: &str = "a URL like http://prometheus.monitoring:9090 or https://mimir/prometheus, \
                        without user, query and /api/v1";

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_| ACCEPTED)?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        let has_user = uri.authority().is_none_or(|at| at.as_str().contains('@'));
        let path = uri.path().trim_end_matches('/');
        match is_http && !has_user && uri.query().is_none() && !path.ends_with("/api/v1") {
            true => Ok(Self(uri)),
            false => Err(ACCEPTED),
        }
    }
}

/// A header of every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header(pub(super) HeaderName, pub(super) HeaderValue);

impl FromStr for Header {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let accepted = "a header like X-Scope-OrgID: team-a";
        let (name, value) = text.split_once(':').ok_or(accepted)?;
        let name = HeaderName::from_str(name.trim()).map_err(|_| accepted)?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| accepted)?;
        Ok(Self(name, value))
    }
}

/// What the store asks of its clients, and which of its clusters is meant.
#[derive(Clone, Debug, Default, Args)]
pub struct Access {
    /// Header of every request to the store, like X-Scope-OrgID: team-a; repeatable
    #[arg(
        long = "prometheus-header",
        env = "ZONEMETER_PROMETHEUS_HEADER",
        value_name = "NAME: VALUE",
        value_delimiter = '\n'
    )]
    pub headers: Vec<Header>,

    /// File with the bearer token for the store; read again when it changes
    #[arg(
        long = "prometheus-token-file",
        env = "ZONEMETER_PROMETHEUS_TOKEN_FILE",
        value_name = "PATH",
        conflicts_with = "user"
    )]
    pub token_file: Option<PathBuf>,

    /// User of the store, by basic authentication
    #[arg(
        long = "prometheus-user",
        env = "ZONEMETER_PROMETHEUS_USER",
        value_name = "NAME",
        requires = "password_file"
    )]
    pub user: Option<String>,

    /// File with that user's password
    #[arg(
        long = "prometheus-password-file",
        env = "ZONEMETER_PROMETHEUS_PASSWORD_FILE",
        value_name = "PATH",
        requires = "user"
    )]
    pub password_file: Option<PathBuf>,

    /// File with the certificates that the store's is signed by [default: the system's]
    #[arg(
        long = "prometheus-ca-file",
        env = "ZONEMETER_PROMETHEUS_CA_FILE",
        value_name = "PATH"
    )]
    pub ca_file: Option<PathBuf>,

    /// Only series with this value of the label cluster
    #[arg(long, env = "ZONEMETER_CLUSTER", value_name = "NAME")]
    pub cluster: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_base_url() {
        for text in [
            "http://127.0.0.1:9090",
            "https://mimir.example/prometheus",
            "http://[::1]:8481/select/0/prometheus/",
        ] {
            assert!(text.parse::<Address>().is_ok(), "{text}");
        }
        for text in [
            "",
            "prometheus:9090",
            "ftp://a",
            "http://user:secret@a",
            "http://a/?x=1",
            "http://a/api/v1/",
        ] {
            assert_eq!(text.parse::<Address>(), Err(ACCEPTED), "{text}");
        }
    }

    #[test]
    fn a_header_has_a_name_and_a_value() {
        let header: Header = "X-Scope-OrgID: a|b".parse().unwrap();
        assert_eq!(
            (header.0.as_str(), header.1.as_bytes()),
            ("x-scope-orgid", b"a|b".as_slice())
        );
        for text in ["", "X-Scope-OrgID", "a b: c", "a: b\nc"] {
            assert!(text.parse::<Header>().is_err(), "{text}");
        }
    }
}
