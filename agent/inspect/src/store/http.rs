//! `POST /api/v1/query`, which Prometheus, Thanos, Mimir, VictoriaMetrics and Amazon Managed Service
//! for Prometheus answer alike. The HTTP client is kube's: base paths, TLS, tokens by file.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, anyhow, bail};
use form_urlencoded::Serializer;
use http_body_util::{BodyExt as _, Limited};
use hyper::{Request, StatusCode, header};
use kube::{Client, Config, client::Body, config::AuthInfo};
use serde::Deserialize;
use tokio::time::timeout;

use super::access::{Access, Address};

/// Longer than a store takes for what is asked here.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer that is read: 100,000 series are 40 MB.
const MOST_BYTES: usize = 256 << 20;

/// A store's API.
pub(super) struct Http {
    client: Client,
    base: String,
}

/// One series at one time.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Sample {
    pub(super) metric: Labels,
    #[serde(rename = "value", deserialize_with = "value")]
    pub(super) value: f64,
}

/// The labels that are asked for here; absent ones are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub(super) struct Labels {
    pub(super) cluster: String,
    pub(super) namespace: String,
    pub(super) workload: String,
    pub(super) workload_kind: String,
    pub(super) pod: String,
    pub(super) zone: String,
    pub(super) direction: String,
    pub(super) scope: String,
    pub(super) via: String,
    pub(super) peer_namespace: String,
    pub(super) peer_workload: String,
    pub(super) peer_workload_kind: String,
    pub(super) peer_zone: String,
    pub(super) as_of: String,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Sample>,
}

/// `[time, "value"]`
fn value<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let (_, text): (f64, String) = Deserialize::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}

impl Http {
    pub(super) fn new(address: &Address, access: &Access) -> Result<Self> {
        let mut config = Config::new(address.0.clone());
        config.default_retry = false;
        config.root_cert_file.clone_from(&access.ca_file);
        let headers = access.headers.iter();
        config.headers = headers.map(|one| (one.0.clone(), one.1.clone())).collect();
        config.auth_info = identity(access)?;
        Ok(Self {
            client: Client::try_from(config).context("--prometheus")?,
            base: address.0.to_string().trim_end_matches('/').to_owned(),
        })
    }

    /// What an expression gives at a time.
    pub(super) async fn query(&self, expression: &str, time: f64) -> Result<Vec<Sample>> {
        let at = format!("{time:.3}");
        let form = Serializer::new(String::new())
            .append_pair("query", expression)
            .append_pair("time", &at)
            .finish();
        let request = Request::post("/api/v1/query")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.into_bytes()))?;
        let answered = timeout(TIMEOUT, self.exchange(request)).await;
        let (status, body) = answered
            .map_err(|_| anyhow!("no answer in {} s", TIMEOUT.as_secs()))
            .and_then(|answer| answer)
            .with_context(|| format!("{}/api/v1/query", self.base))?;
        self.samples(status, &body)
    }

    async fn exchange(&self, request: Request<Body>) -> Result<(StatusCode, Vec<u8>)> {
        let response = self.client.send(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MOST_BYTES);
        let body = body.collect().await.map_err(|error| anyhow!("{error}"))?;
        Ok((status, body.to_bytes().to_vec()))
    }

    fn samples(&self, status: StatusCode, body: &[u8]) -> Result<Vec<Sample>> {
        let at = format!("{}/api/v1/query", self.base);
        match serde_json::from_slice::<Answer>(body) {
            Ok(Answer {
                data: Some(data), ..
            }) if status == StatusCode::OK => Ok(data.result),
            Ok(answer) if !answer.error.is_empty() => bail!("{at}: {}", answer.error),
            _ if status != StatusCode::OK => bail!("{at}: answered {status}"),
            _ => bail!(
                "{at}: another answer than of Prometheus's API: give the base URL, to which \
                 /api/v1/query is added"
            ),
        }
    }
}

fn identity(access: &Access) -> Result<AuthInfo> {
    let password = access.password_file.as_ref().map(|path| {
        let text = fs::read_to_string(path);
        let text = text.with_context(|| format!("--prometheus-password-file: {}", path.display()));
        text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
    });
    let token_file = access.token_file.as_ref().map(|path| {
        let text = path.to_str().map(str::to_owned);
        text.context("--prometheus-token-file: a path that is no text")
    });
    Ok(AuthInfo {
        username: access.user.clone(),
        password: password.transpose()?.map(Into::into),
        token_file: token_file.transpose()?,
        ..AuthInfo::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_a_value_and_the_labels_that_are_known() {
        let text = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"__name__":"x","zone":"a","more":"b"},"value":[1700000000.1,"1.5e3"]},
            {"metric":{},"value":[1700000000,"NaN"]}]}}"#;
        let answer: Answer = serde_json::from_str(text).unwrap();
        let samples = answer.data.unwrap().result;
        assert_eq!((samples[0].value, &*samples[0].metric.zone), (1500.0, "a"));
        assert!(samples[1].value.is_nan());
    }
}
