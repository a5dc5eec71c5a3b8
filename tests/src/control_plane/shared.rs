//! One control plane for all labs of a process: starting one takes ten times as long as raising a
//! lab. Labs use it one after the other.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};

use super::{ControlPlane, Proxy};

/// The lab's Services, beside the range that is the control plane's own.
const SERVICE_RANGE: &str = "--service-cluster-ip-range=10.100.0.0/16,fd5a:6f6e:ffff::/108";

static PLANE: Mutex<State> = Mutex::new(State {
    shared: None,
    leased: false,
});
static RETURNED: Condvar = Condvar::new();

struct State {
    shared: Option<Arc<Shared>>,
    leased: bool,
}

/// A control plane with the project's manifest applied.
#[derive(Debug)]
struct Shared {
    // In the order of dropping: who uses the server before the server.
    proxy: Proxy,
    /// Of the account that the manifest makes.
    token: Mutex<String>,
    kubeconfig: PathBuf,
    namespaces: Mutex<BTreeSet<String>>,
    plane: ControlPlane,
}

/// The process' control plane, for one user at a time.
#[derive(Debug)]
pub(crate) struct Lease(Arc<Shared>);

impl Lease {
    /// Waits until nobody else of this process has it; starts it for the first one. It ends with
    /// the process.
    pub(crate) fn take() -> Result<Self> {
        let mut state = lock(&PLANE);
        while state.leased {
            state = RETURNED.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let shared = match &state.shared {
            Some(shared) => Arc::clone(shared),
            None => {
                let shared = Arc::new(Shared::start()?);
                state.shared = Some(Arc::clone(&shared));
                // SAFETY: the function is one of C's calling convention that does not unwind.
                unsafe { libc::atexit(end) };
                shared
            }
        };
        state.leased = true;
        drop(state);
        let lease = Self(shared);
        lease.restore_token()?;
        Ok(lease)
    }

    /// Where the API server listens in the root namespace.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.plane.address()
    }

    /// The control plane itself.
    pub(crate) fn plane(&self) -> &ControlPlane {
        &self.0.plane
    }

    /// A way to the server with the administrator's rights.
    pub(crate) fn proxy(&self) -> &Proxy {
        &self.0.proxy
    }

    /// A kubeconfig of the account that the manifest makes.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.0.kubeconfig
    }

    /// The file that the kubeconfig takes the account's token from.
    fn token_file(&self) -> PathBuf {
        token_file(&self.0.plane)
    }

    /// Writes the good token to [`Self::token_file`].
    pub(crate) fn restore_token(&self) -> Result<()> {
        let token = lock(&self.0.token);
        fs::write(self.token_file(), &*token).context("write the account's token")
    }

    /// Makes the account anew: no token of the old one is accepted any more.
    pub(crate) fn renew_account(&self) -> Result<()> {
        let plane = &self.0.plane;
        let delete = ["delete", "serviceaccount", "zonemeter"];
        plane.kubectl(&[&["--namespace=kube-system"], &delete[..]].concat())?;
        apply_manifest(plane)?;
        *lock(&self.0.token) = new_token(plane)?;
        Ok(())
    }

    /// Gives the account the rights of the project's manifest again.
    pub(crate) fn apply_manifest(&self) -> Result<()> {
        apply_manifest(&self.0.plane)
    }

    /// True for the first one who asks about `namespace`.
    pub(crate) fn is_new_namespace(&self, namespace: &str) -> bool {
        lock(&self.0.namespaces).insert(namespace.to_owned())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        lock(&PLANE).leased = false;
        RETURNED.notify_one();
    }
}

impl Shared {
    fn start() -> Result<Self> {
        let plane = ControlPlane::start(&[SERVICE_RANGE])?;
        apply_manifest(&plane)?;
        Ok(Self {
            proxy: plane.proxy()?,
            token: Mutex::new(new_token(&plane)?),
            kubeconfig: plane.kubeconfig("agent", plane.address(), &token_file(&plane))?,
            namespaces: Mutex::default(),
            plane,
        })
    }
}

/// Statics are not dropped at the end of a process; children and files would stay.
extern "C" fn end() {
    drop(lock(&PLANE).shared.take());
}

fn new_token(plane: &ControlPlane) -> Result<String> {
    let token = plane.kubectl(&["--namespace=kube-system", "create", "token", "zonemeter"])?;
    Ok(token.trim().to_owned())
}

fn token_file(plane: &ControlPlane) -> PathBuf {
    plane.folder().join("agent.token")
}

fn apply_manifest(plane: &ControlPlane) -> Result<()> {
    let manifest =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes/zonemeter.yaml");
    let manifest = manifest.to_str().context("a path that is no text")?;
    plane.kubectl(&["apply", "--filename", manifest]).map(drop)
}

/// Each change is one assignment, so that a panic elsewhere leaves the value whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
