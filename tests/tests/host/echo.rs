//! Datagrams that are answered one by one: as many come back as were sent, on any machine.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use zonemeter_lab::{Count, Namespace, traffic::any};

use super::scene::WITHIN;

/// Answers each datagram with itself, until it is dropped.
pub(super) struct Echo {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    pub(super) fn start(on: &Namespace, at: SocketAddr) -> Self {
        let socket = socket(on, at);
        let pause = Duration::from_millis(100);
        socket.set_read_timeout(Some(pause)).unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !is_done.load(Ordering::Relaxed) {
                if let Ok((size, from)) = socket.recv_from(&mut buffer) {
                    socket.send_to(&buffer[..size], from).unwrap();
                }
            }
        });
        Self {
            done,
            thread: Some(thread),
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A socket of this namespace, and of the cgroup that the process is in.
pub(super) fn socket(on: &Namespace, at: SocketAddr) -> UdpSocket {
    on.run(|| UdpSocket::bind(at)).unwrap().unwrap()
}

/// A socket to ask `server` with.
pub(super) fn asking(on: &Namespace, server: SocketAddr) -> UdpSocket {
    let socket = socket(on, any(server.ip(), 0));
    socket.set_read_timeout(Some(WITHIN)).unwrap();
    socket.connect(server).unwrap();
    socket
}

/// Sends so many datagrams of 500 bytes and awaits the answer to each.
pub(super) fn ask(socket: &UdpSocket, times: u64) {
    let mut buffer = [0; 2048];
    for _ in 0..times {
        socket.send(&[0x5a; 500]).unwrap();
        assert_eq!(socket.recv(&mut buffer).unwrap(), 500);
    }
}

/// What `times` questions are on the wire, and as much their answers: 20 bytes of IPv4 and 8 of UDP
/// beside 500.
pub(super) fn asked(times: u64) -> Count {
    Count {
        bytes: 528 * times,
        packets: times,
    }
}
