//! Frames that are handed to an interface as they are, without addresses or neighbours.

use std::{io, mem, net::Ipv4Addr, os::fd::AsRawFd as _, os::fd::FromRawFd as _, os::fd::OwnedFd};

/// An Ethernet frame with one UDP datagram in IPv4 of `payload` bytes: 28 more at layer 3.
pub fn udp_frame(source: Ipv4Addr, destination: Ipv4Addr, payload: u16) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 1, 0x08, 0x00]);
    let length = (28 + payload).to_be_bytes();
    frame.extend([0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, 17, 0, 0]);
    frame.extend(source.octets());
    frame.extend(destination.octets());
    let length = (8 + payload).to_be_bytes();
    frame.extend([0x9c, 0x40, 0, 9, length[0], length[1], 0, 0]);
    frame.resize(frame.len() + usize::from(payload), 0x5a);
    frame
}

/// Sends `frame` out of the interface with this index, in the calling thread's namespace.
///
/// # Errors
/// `ENETDOWN` while the interface is down.
pub fn send_frame(interface: u32, frame: &[u8]) -> io::Result<()> {
    // SAFETY: no pointers.
    let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call returned a descriptor of our own.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: all zeroes is a value of a structure of integers.
    let mut to: libc::sockaddr_ll = unsafe { mem::zeroed() };
    to.sll_family = libc::AF_PACKET as u16;
    to.sll_ifindex = interface as i32;
    to.sll_protocol = 0x0800u16.to_be();
    // SAFETY: the pointers lead to values of the lengths that stand beside them.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            frame.as_ptr().cast(),
            frame.len(),
            0,
            (&raw const to).cast(),
            mem::size_of_val(&to) as libc::socklen_t,
        )
    };
    match sent {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
