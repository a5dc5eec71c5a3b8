//! A program that does nothing, for benchmarks: what it costs is what the hook and the kernel's
//! own statistics cost. The agent never loads it.

#![no_std]
#![no_main]

use aya_ebpf::{macros::classifier, programs::TcContext};

/// Does nothing.
#[classifier]
fn zonemeter_floor(_: TcContext) -> i32 {
    -1
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
