//! Reads JSON from the debug listener of a running agent: what `top` and `explain` have in
//! common. Plain HTTP, because the listener is on loopback.

use std::{io, time::Duration};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Request, StatusCode, Uri,
    body::{Body, Bytes},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::{net::TcpStream, runtime::Builder, time::timeout};

/// Longer than the listener itself takes to give up.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Flags that say which agent to ask.
#[derive(Clone, Debug, Args)]
pub struct AgentAt {
    /// Debug listener of the agent to ask
    #[arg(
        long,
        env = "ZONEMETER_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:9465"
    )]
    pub url: Client,
}

/// A debug listener, for example `http://127.0.0.1:9465`.
#[derive(Clone, Debug)]
pub struct Client {
    /// `host:port`
    authority: String,
}

impl std::str::FromStr for Client {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let accepted = || "a URL like http://127.0.0.1:9465".to_owned();
        let uri: Uri = url.parse().map_err(|_| accepted())?;
        let authority = uri.authority().ok_or_else(accepted)?;
        if uri.scheme_str() != Some("http") || !matches!(uri.path(), "" | "/") {
            return Err(accepted());
        }
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self {
            authority: format!("{}:{port}", authority.host()),
        })
    }
}

impl Client {
    /// Reads what `path`, which begins with a slash, answers.
    ///
    /// # Errors
    /// When the agent cannot be reached, refuses the request (its own line is passed on), or
    /// answers with something else than `T`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = timeout(TIMEOUT, self.exchange(path)).await;
        let (status, body) = answer
            .unwrap_or_else(|_| Err(anyhow::anyhow!("no answer in 10 s")))
            .with_context(|| format!("http://{}{path}", self.authority))
            .map_err(|error| match is_refused(&error) {
                true => anyhow!("http://{}{path}: {NOBODY}", self.authority),
                false => error,
            })?;
        if status != StatusCode::OK {
            bail!("{}", self.error_line(path, status, &body));
        }
        serde_json::from_slice(&body)
            .map_err(|_| anyhow!("{}", self.no_agent(path, "another answer than expected")))
    }

    fn no_agent(&self, path: &str, found: &str) -> String {
        let at = &self.authority;
        format!(
            "http://{at}{path}: {found}: not the debug listener of a zonemeter agent of this \
             version; that is --debug-listen, port 9465 unless set, and not the port of /metrics"
        )
    }

    /// The agent's own line where it sent one.
    fn error_line(&self, path: &str, status: StatusCode, body: &[u8]) -> String {
        let answer: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        let line = answer.as_ref().and_then(|answer| answer["error"].as_str());
        let answered = || self.no_agent(path, &format!("answered {status}"));
        line.map_or_else(answered, str::to_owned)
    }

    async fn exchange(&self, path: &str) -> Result<(StatusCode, Bytes)> {
        let stream = TcpStream::connect(&self.authority).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::get(path)
            .header(header::HOST, &self.authority)
            .body(Empty::<Bytes>::new())?;
        let exchange = async move {
            let response = sender.send_request(request).await?;
            let status = response.status();
            Ok((status, collect(response.into_body()).await?))
        };
        let (answer, _) = tokio::join!(exchange, connection);
        answer
    }
}

/// Runs a command that asks an agent.
///
/// # Errors
/// That of the command.
pub fn run(command: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(command)
}

async fn collect<B: Body<Data = Bytes, Error = hyper::Error>>(body: B) -> Result<Bytes> {
    Ok(body.collect().await?.to_bytes())
}

/// What to do where nobody listens.
const NOBODY: &str = "connection refused: nobody listens there; from outside of the node run \
                      `kubectl --namespace zonemeter port-forward POD 9465` with the name of an \
                      agent's pod first";

fn is_refused(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, routing::get};
    use serde_json::{Value, json};
    use tokio::net::TcpListener;

    use super::*;

    /// Serves on a free loopback port until the test ends.
    async fn serve(host: &str) -> Client {
        let refused = (
            StatusCode::BAD_REQUEST,
            Json(json!({ "error": "limit=0: no" })),
        );
        let router = Router::new()
            .route("/good", get(|| async { Json(json!({ "flows": 3 })) }))
            .route("/refused", get(|| async { refused }))
            .route("/text", get(|| async { "hello" }));
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}").parse().unwrap()
    }

    #[tokio::test]
    async fn reads_json_over_both_families() {
        for host in ["127.0.0.1", "::1"] {
            let answer: Value = serve(host).await.get("/good").await.unwrap();
            assert_eq!(answer, json!({ "flows": 3 }));
        }
    }

    #[tokio::test]
    async fn passes_the_agents_own_line_on() {
        let client = serve("127.0.0.1").await;
        let error = client.get::<Value>("/refused").await.unwrap_err();
        assert_eq!(format!("{error:#}"), "limit=0: no");
        let error = client.get::<Value>("/nowhere").await.unwrap_err();
        let error = format!("{error:#}");
        let beginning = format!(
            "http://{}/nowhere: answered 404 Not Found: ",
            client.authority
        );
        assert!(
            error.starts_with(&beginning) && error.contains("9465"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn names_the_address_that_does_not_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = url
            .parse::<Client>()
            .unwrap()
            .get::<Value>("/good")
            .await
            .unwrap_err();
        assert!(
            format!("{error:#}").starts_with(&format!("{url}/good: connection refused"))
                && format!("{error:#}").contains("port-forward"),
            "{error:#}"
        );
        let error = serve("127.0.0.1")
            .await
            .get::<Value>("/text")
            .await
            .unwrap_err();
        assert!(
            format!("{error:#}")
                .contains("/text: another answer than expected: not the debug listener"),
            "{error:#}"
        );
    }

    #[test]
    fn only_plain_http_urls_without_a_path_are_accepted() {
        for url in [
            "http://127.0.0.1:9465",
            "http://localhost:9465/",
            "http://[::1]:1",
        ] {
            assert!(url.parse::<Client>().is_ok(), "{url}");
        }
        for url in [
            "127.0.0.1:9465",
            "https://127.0.0.1:9465",
            "http://a/api",
            "",
            "nowhere",
        ] {
            assert!(url.parse::<Client>().is_err(), "{url}");
        }
    }
}
