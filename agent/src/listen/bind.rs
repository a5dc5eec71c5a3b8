//! Taking an address.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::Address;

/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 1024;
/// Owner and group; others have no business with it.
const MODE: u32 = 0o660;
/// A socket file gets its name when its mode is right.
pub(super) const NEW: &str = ".new";

/// A bound address.
#[derive(Debug)]
pub enum Listener {
    /// IP.
    Tcp(TcpListener),
    /// A socket file, removed when this is dropped.
    Unix(UnixListener, SocketFile),
}

/// Removes the file when it is dropped, unless another one is in its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|found| found == self.inode) {
            // Nothing depends on it: the next agent replaces a file that nobody listens on.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens on `address`, which the flag `flag` gave.
///
/// # Errors
/// One line with flag, address and remedy.
pub fn bind(flag: &str, address: &Address) -> Result<Listener> {
    let bound = match address {
        Address::Tcp(address) => tcp(*address)
            .and_then(TcpListener::from_std)
            .map(Listener::Tcp)
            .map_err(Into::into),
        Address::Unix(path) => unix(path),
    };
    bound.with_context(|| remedy(flag, address))
}

/// Whether [`bind`] would succeed; nothing stays behind.
///
/// # Errors
/// As [`bind`].
pub fn is_free(flag: &str, address: &Address) -> Result<()> {
    let free = match address {
        Address::Tcp(address) => tcp(*address).map(drop).map_err(Into::into),
        Address::Unix(path) => may_take(path).and_then(|_| {
            let folder = path.parent().unwrap_or(path);
            ensure!(folder.is_dir(), "{} is no directory", folder.display());
            Ok(())
        }),
    };
    free.with_context(|| remedy(flag, address))
}

fn remedy(flag: &str, address: &Address) -> String {
    format!("{flag}: cannot listen on {address}: choose another address or stop its owner")
}

/// `[::]` where the node has no IPv6 at all is `0.0.0.0`.
fn tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    match open(address) {
        Err(error) if lacks_ipv6(address, &error) => {
            let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            tracing::info!("this node has no IPv6 ({error}): listening on {address}");
            open(address)
        }
        opened => opened,
    }
}

pub(super) fn lacks_ipv6(address: SocketAddr, error: &io::Error) -> bool {
    let without = [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL].map(Some);
    address.is_ipv6() && address.ip().is_unspecified() && without.contains(&error.raw_os_error())
}

fn open(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // Whatever net.ipv6.bindv6only says.
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    // Connections of an agent that has just ended may linger in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Made beside its place and renamed, so that nobody connects before the mode is right.
fn unix(path: &Path) -> Result<Listener> {
    may_take(path)?;
    let mut new = path.as_os_str().to_owned();
    new.push(NEW);
    let new = PathBuf::from(new);
    if may_take(&new)? {
        fs::remove_file(&new).with_context(|| new.display().to_string())?;
    }
    let listener = UnixListener::bind(&new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(MODE))?;
    fs::rename(&new, path)?;
    let file = SocketFile {
        path: path.to_owned(),
        inode: inode(path)?,
    };
    Ok(Listener::Unix(listener, file))
}

/// True where an old socket file is to be replaced, false where there is no file.
fn may_take(path: &Path) -> Result<bool> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found.with_context(|| path.display().to_string())?,
    };
    if !found.file_type().is_socket() {
        bail!("{} is there and is no socket", path.display());
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(true),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
        Ok(_) => bail!("{} is in use", path.display()),
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
