//! What one pod does to all others.

use std::{
    io,
    net::{Ipv4Addr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use zonemeter_lab::Pod;

/// IPv4 and UDP header and a payload of 64 bytes.
pub(crate) const DATAGRAM: u64 = 20 + 8 + 64;

/// Datagrams of [`DATAGRAM`] bytes that a pod sends; ends when all are sent or [`Attack::stop`] is
/// called.
pub(crate) struct Attack {
    sender: JoinHandle<anyhow::Result<u64>>,
    over: Arc<AtomicBool>,
}

impl Attack {
    /// So many a second to what `send` makes of their numbers.
    pub(crate) fn start(
        from: &Pod,
        (count, per_second): (u64, u32),
        mut send: impl FnMut(u64) -> io::Result<()> + Send + 'static,
    ) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&over);
        // A burst fits into every queue on the way.
        let burst = u64::from(per_second / 500).clamp(1, 64);
        let sender = from.namespace().spawn(move || {
            let (began, mut sent) = (Instant::now(), 0);
            while sent < count && !stopped.load(Ordering::Relaxed) {
                send(sent)?;
                sent += 1;
                if sent % burst == 0 {
                    let due = Duration::from_secs_f64(sent as f64 / f64::from(per_second));
                    thread::sleep((began + due).saturating_duration_since(Instant::now()));
                }
            }
            Ok(sent * DATAGRAM)
        });
        Self { sender, over }
    }

    /// To as many addresses after `first`, from one socket.
    pub(crate) fn on_addresses(from: &Pod, first: Ipv4Addr, rate: (u64, u32)) -> Self {
        let socket = from
            .namespace()
            .run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 40_000)));
        let socket = socket.unwrap().unwrap();
        Self::start(from, rate, move |n| {
            let to = Ipv4Addr::from_bits(first.to_bits() + n as u32);
            socket.send_to(&[0x5a; 64], (to, 9000)).map(drop)
        })
    }

    pub(crate) fn is_over(&self) -> bool {
        self.sender.is_finished()
    }

    /// All bytes that were sent.
    pub(crate) fn join(self) -> u64 {
        self.sender.join().unwrap().unwrap()
    }

    pub(crate) fn stop(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.join()
    }
}
