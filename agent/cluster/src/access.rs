//! How to reach the Kubernetes API.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use http::{Request, Response, StatusCode, header::RETRY_AFTER};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
    config::{KubeConfigOptions, Kubeconfig},
    core::{Status, response::StatusDetails},
};
use tokio::sync::Mutex;
use tower::timeout::TimeoutLayer;
use zonemeter_io::files::{self, READ_WITHIN, ReaderThread};

use super::health::Reporter;

/// A server that has not begun to answer by then counts as failing.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Where the address and the credentials of the API server are. Its clones share one client:
/// its connections, TLS settings and token.
#[derive(Clone)]
pub(super) struct Access {
    kubeconfig: Option<PathBuf>,
    apart: ReaderThread,
    server: Arc<Mutex<Option<Arc<Server>>>>,
}

/// An API server, and the client of all watches.
pub(super) struct Server {
    config: Config,
    client: Client,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Access({:?})", self.kubeconfig)
    }
}

impl Access {
    /// `kubeconfig`, else the account of the pod that this runs in, else `$KUBECONFIG`.
    pub(super) fn new(kubeconfig: Option<PathBuf>) -> Self {
        Self {
            kubeconfig,
            apart: ReaderThread::default(),
            server: Arc::default(),
        }
    }

    /// Reads address and credentials anew, as any of them may have been rotated: the same server
    /// as before unless they have.
    pub(super) async fn server(&self) -> anyhow::Result<Arc<Server>> {
        let mut known = self.server.lock().await;
        let config = self.config().await?;
        if let Some(server) = known
            .as_ref()
            .filter(|server| same_server(&server.config, &config))
        {
            return Ok(Arc::clone(server));
        }
        let server = Arc::new(Server::new(config)?);
        *known = Some(Arc::clone(&server));
        Ok(server)
    }

    /// Has the next [`Self::server`] read the token anew: this one's was not accepted.
    pub(super) async fn forget(&self, server: &Arc<Server>) {
        let mut known = self.server.lock().await;
        if known
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, server))
        {
            *known = None;
        }
    }

    /// The library reads the files that a kubeconfig names where it is called: on a thread of
    /// its own.
    async fn config(&self) -> anyhow::Result<Config> {
        let (source, runtime) = (self.clone(), tokio::runtime::Handle::current());
        let read = move || runtime.block_on(source.source());
        let read = self.apart.run(READ_WITHIN, read).await;
        let mut config = read.context("the kubeconfig, or a file that it names")??;
        config.connect_timeout = Some(CONNECT_WITHIN);
        // Failures are to be seen at once, and have a backoff of our own.
        config.default_retry = false;
        Ok(config)
    }

    async fn source(&self) -> anyhow::Result<Config> {
        if let Some(path) = &self.kubeconfig {
            let named = || format!("--kubeconfig {}", path.display());
            files::open(path).with_context(named)?;
            let file = Kubeconfig::read_from(path).with_context(named)?;
            let options = KubeConfigOptions::default();
            return Config::from_custom_kubeconfig(file, &options)
                .await
                .with_context(named);
        }
        if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
            return Config::incluster().context("the account of this pod");
        }
        let Some(path) = std::env::var_os("KUBECONFIG") else {
            bail!(
                "no credentials for the Kubernetes API: not in a pod (KUBERNETES_SERVICE_HOST is \
                 not set) and $KUBECONFIG is not set: give --kubeconfig or --cluster-file"
            );
        };
        let options = KubeConfigOptions::default();
        let named = || format!("$KUBECONFIG {}", path.display());
        for file in std::env::split_paths(&path).filter(|file| file.exists()) {
            files::open(&file).with_context(named)?;
        }
        Config::from_kubeconfig(&options).await.with_context(named)
    }
}

impl Server {
    fn new(config: Config) -> anyhow::Result<Self> {
        let builder = ClientBuilder::try_from(config.clone())?;
        let client = builder
            .with_layer(&TimeoutLayer::new(ANSWER_WITHIN))
            .build();
        Ok(Self { config, client })
    }

    /// Where requests go, for messages.
    pub(super) fn url(&self) -> String {
        self.config.cluster_url.to_string()
    }

    /// The client, with each answer reported as a sign of life.
    pub(super) fn client(&self, reporter: Reporter) -> Client {
        let client = self.client.clone();
        let send = tower::service_fn(move |request: Request<Body>| {
            let (client, reporter) = (client.clone(), reporter.clone());
            async move {
                let answer = client.send(request).await?;
                if answer.status().is_success() {
                    reporter.alive();
                }
                asked_to_wait(&answer).map_or(Ok(answer), Err)
            }
        });
        Client::new(send, self.client.default_namespace())
    }
}

/// The refusal of an overloaded server with the seconds of its `Retry-After`, a header that
/// `kube` would drop.
fn asked_to_wait<B>(answer: &Response<B>) -> Option<kube::Error> {
    let status = answer.status();
    if ![
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ]
    .contains(&status)
    {
        return None;
    }
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = seconds.parse().ok()?;
    let reason = status.canonical_reason().unwrap_or_default();
    let message = format!("{reason}, try again after {seconds} s");
    let details = StatusDetails {
        retry_after_seconds: seconds,
        name: String::new(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: Vec::new(),
    };
    let status = Status::failure(&message, reason).with_code(status.as_u16());
    Some(kube::Error::Api(Box::new(status.with_details(details))))
}

/// Whether both lead to the same server under the same identity, as far as a connection depends
/// on it: tokens are read from their file as they are needed.
fn same_server(one: &Config, other: &Config) -> bool {
    let identity = |config: &Config| {
        let auth = &config.auth_info;
        (
            config.cluster_url.clone(),
            config.root_cert.clone(),
            config.tls_server_name.clone(),
            auth.client_certificate.clone(),
            auth.client_certificate_data.clone(),
        )
    };
    identity(one) == identity(other)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use kube::Api;

    use zonemeter_model::cluster::Kind;

    use super::*;
    use crate::health::{Counter, reporters};

    /// The clock is the runtime's, which skips what nobody has to wait for.
    #[tokio::test(start_paused = true)]
    async fn a_server_that_takes_the_request_and_says_nothing_is_given_up() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let ([reporter], _health) = reporters([("pods", Counter::WatchErrors(Kind::Pod))]);
        let config = Config::new(url.parse().unwrap());
        let client = Server::new(config).unwrap().client(reporter);
        let (pods, all) = (Api::<Pod>::all(client), Default::default());
        let listed = pods.list(&all);
        let listed = tokio::time::timeout(2 * ANSWER_WITHIN, listed).await;
        let error = listed.expect("an end before the deadline").unwrap_err();
        assert!(error.to_string().contains("timed out"), "{error}");
    }

    #[test]
    fn another_authority_or_address_is_another_server() {
        let config = |url: &str| Config::new(url.parse().unwrap());
        let (one, mut trusting) = (config("https://one"), config("https://one"));
        assert!(same_server(&one, &config("https://one")));
        assert!(!same_server(&one, &config("https://two")));
        trusting.root_cert = Some(vec![vec![1]]);
        assert!(!same_server(&one, &trusting));
    }
}
