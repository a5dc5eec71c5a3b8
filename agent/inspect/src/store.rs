//! The whole cluster out of a Prometheus-compatible store: what all agents counted, by the
//! recording rules in `deploy/prometheus`.
//!
//! [`expression`] says what is asked, [`http`] asks it, [`rows`] makes rows of the answers. Every
//! answer is used again for some seconds, so that many who look cost the store no more than one.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, anyhow, bail};
use tokio::{sync::Mutex, time::Instant};

pub(crate) mod access;
mod earlier;
mod expression;
mod http;
mod rows;
mod totals;

pub use self::access::{Access, Address};
use self::{
    expression::{Expressions, Span},
    http::{Http, Sample},
    rows::Stored,
};
use crate::{
    debug::pairs::answer::{Pairs, PricesUsed},
    view::{Group, Question, Reading},
};

/// Rules are evaluated every minute.
const FRESH: Duration = Duration::from_secs(15);
/// What a month has cost changes by little.
const MONTH_FRESH: Duration = Duration::from_secs(300);
/// Answers that are kept of each kind; the oldest gives way.
const MOST_KEPT: usize = 32;

/// A store and what it answered lately. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Store").finish_non_exhaustive()
    }
}

struct Inner {
    http: Http,
    cluster: Option<String>,
    /// Locked while the store is asked, so that nobody asks the same at the same time.
    rows: Mutex<Kept<(Group, Span), Stored>>,
    sums: Mutex<Kept<String, Vec<Sample>>>,
}

/// Answers with the time at which they came.
type Kept<K, V> = HashMap<K, (Instant, Arc<V>)>;

impl Store {
    /// A store at this address.
    ///
    /// # Errors
    /// When a file of the access cannot be read.
    pub fn new(address: &Address, access: &Access) -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            http: Http::new(address, access)?,
            cluster: access.cluster.clone(),
            rows: Mutex::default(),
            sums: Mutex::default(),
        })))
    }

    /// Answers like an agent, for the whole cluster.
    ///
    /// # Errors
    /// When the store does not answer, has no agents' series or not their rules, and for what a
    /// store cannot tell.
    pub(crate) async fn read(&self, question: &Question) -> Result<Reading> {
        let span = Span::of(question.window).map_err(|why| anyhow!("{why}"))?;
        let group = match question.group {
            Group::Connection => bail!(
                "connections are known to the agents alone: ask one by --url, or \
                 kubectl exec its pod"
            ),
            Group::Workload => Group::Pair,
            group => group,
        };
        let stored = self.stored(group, span).await?;
        let about = Pairs {
            window: span.name().to_owned(),
            seconds: span.seconds(),
            since_unix_seconds: stored.time - span.seconds(),
            age_seconds: (now() - stored.time).max(0.0),
            prices: stored.prices.clone(),
            ..Pairs::default()
        };
        let mut reading = Reading::of_store(about, stored.rows.clone(), question);
        reading.lacks.extend(stored.lacks.iter().cloned());
        if question.group != Group::Pod {
            self.add_earlier(&mut reading, question, span).await;
        }
        Ok(reading)
    }

    /// Rows of the last question of this kind, or asked for now.
    async fn stored(&self, group: Group, span: Span) -> Result<Arc<Stored>> {
        let mut kept = self.0.rows.lock().await;
        if let Some(stored) = fresh(&kept, &(group, span), FRESH) {
            return Ok(stored);
        }
        let stored = Arc::new(match group {
            Group::Pod => self.ask_pods(span).await?,
            _ => self.ask_pairs(span).await?,
        });
        keep(&mut kept, (group, span), Arc::clone(&stored));
        Ok(stored)
    }

    async fn ask_pairs(&self, span: Span) -> Result<Stored> {
        let (time, expressions) = (now(), self.expressions());
        let ask = |expression: String| async move { self.0.http.query(&expression, time).await };
        let (rates, dollars, prices) = tokio::join!(
            ask(expressions.rates(span)),
            ask(expressions.dollars(span)),
            ask(expressions.prices()),
        );
        let rates = rates?;
        if rates.is_empty() {
            return Err(self.why_nothing(time).await);
        }
        let (dollars, prices) = (dollars?, prices?);
        let mut stored = Stored::of_pairs(&rates, &dollars, span);
        stored.time = time;
        stored.prices = rows::prices(&prices);
        stored.note_clusters(&rates);
        Ok(stored)
    }

    async fn ask_pods(&self, span: Span) -> Result<Stored> {
        let time = now();
        let expression = self.expressions().pods(span);
        let rates = self.0.http.query(&expression, time).await?;
        if rates.is_empty() {
            return Err(self.why_nothing(time).await);
        }
        let mut stored = Stored::of_pods(&rates, span);
        stored.time = time;
        stored.note_clusters(&rates);
        Ok(stored)
    }

    /// The store has nothing to show: the agents are not in it, or the rules are not.
    async fn why_nothing(&self, time: f64) -> anyhow::Error {
        let agents = self.0.http.query(&self.expressions().agents(), time).await;
        match agents {
            Err(error) => error,
            Ok(agents) if agents.is_empty() => anyhow!(
                "this store has no series of zonemeter's agents{}: scrape them first \
                 (deploy/prometheus/README.md)",
                match &self.0.cluster {
                    Some(cluster) => format!(" with cluster={cluster:?}"),
                    None => String::new(),
                }
            ),
            Ok(_) => anyhow!(
                "this store has agents and no series {}: load the rules of this version, \
                 deploy/prometheus/zonemeter.rules.yaml, and wait for two evaluations",
                expression::RATES
            ),
        }
    }

    /// What an expression gives, kept for some minutes.
    async fn sum(&self, expression: String, time: f64) -> Result<Arc<Vec<Sample>>> {
        if let Some(samples) = fresh(&*self.0.sums.lock().await, &expression, MONTH_FRESH) {
            return Ok(samples);
        }
        let samples = Arc::new(self.0.http.query(&expression, time).await?);
        let kept = &mut *self.0.sums.lock().await;
        keep(kept, expression, Arc::clone(&samples));
        Ok(samples)
    }

    fn expressions(&self) -> Expressions<'_> {
        Expressions {
            cluster: self.0.cluster.as_deref(),
        }
    }
}

fn fresh<K: Hash + Eq, V>(kept: &Kept<K, V>, key: &K, age: Duration) -> Option<Arc<V>> {
    let (came, value) = kept.get(key)?;
    (came.elapsed() < age).then(|| Arc::clone(value))
}

fn keep<K: Hash + Eq + Clone, V>(kept: &mut Kept<K, V>, key: K, value: Arc<V>) {
    let oldest = kept.iter().min_by_key(|(_, (came, _))| *came);
    let oldest = oldest.map(|(key, _)| key.clone());
    if let Some(oldest) = oldest.filter(|_| kept.len() >= MOST_KEPT) {
        kept.remove(&oldest);
    }
    kept.insert(key, (Instant::now(), value));
}

/// Unix time.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

/// What `/api/about` and tests may know.
impl Store {
    /// The cluster that was chosen; empty where all of the store are shown.
    pub fn cluster(&self) -> &str {
        self.0.cluster.as_deref().unwrap_or_default()
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn answers(&self) -> Result<()> {
        self.0.http.query("vector(1)", now()).await.map(|_| ())
    }
}

/// Prices that are in force in the store.
type Prices = Option<PricesUsed>;
