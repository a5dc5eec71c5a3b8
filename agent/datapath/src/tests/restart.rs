//! What programs of an earlier process read in global variables stays when the next one loads its own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use zonemeter_common::{Uplinks, names};
use zonemeter_model::traffic::Direction;

use super::{Bench, Frame, PEER, POD, TCP, flow};
use crate::{
    Attachable, Kernel,
    object::{self, Object},
    pins::Pins,
};

const UPLINK: u32 = 77;

/// A directory of pins, which goes with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = format!("zonemeter-{name}-{}", std::process::id());
        Self(Path::new("/sys/fs/bpf").join(name))
    }

    fn lock(&self) -> Pins {
        let pins = Pins::lock(&self.0).expect("a bpf file system");
        pins.expect("nobody else uses it")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let removed = fs::remove_dir_all(&self.0);
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}

fn load(directory: &Directory, expected: (u64, Uplinks)) -> Bench {
    let settings = Bench::settings();
    let pins = Some(Arc::new(directory.lock()));
    let (object, _warnings): (Object, _) =
        object::load(&settings, pins).expect("the programs load: run as root");
    let control = object.maps.written.control.get(&0, 0).expect("control");
    let uplinks = object.maps.uplinks.get(&0, 0).expect("uplinks");
    assert_eq!(control.epoch, expected.0);
    assert!(uplinks == expected.1, "{uplinks:?}");
    let loaded = Kernel::new(object, settings.methods, Instant::now());
    let (kernel, attachable): (Kernel, Attachable) = loaded.expect("maps");
    Bench { kernel, attachable }
}

#[tokio::test]
#[ignore = "needs root"]
async fn the_next_process_goes_on_in_the_same_epoch_and_with_the_same_uplinks() {
    let directory = Directory::new("restart");
    let frame = Frame::ipv4(POD, PEER).tcp(40000, 80, 60);
    let mut uplinks = Uplinks::NONE;
    assert!(uplinks.insert(UPLINK, 5));

    let mut first = load(&directory, (0, Uplinks::NONE));
    first
        .attachable
        .uplinks
        .set(0, uplinks, 0)
        .expect("uplinks");
    // An odd number of drains: programs write to the other set than at first.
    first.drain();
    first.run(Direction::Transmit, &frame);
    let drained = first.kernel.drain().expect("drain");
    first.run(Direction::Transmit, &frame);
    drop(first);

    let mut second = load(&directory, (drained.epoch + 1, uplinks));
    let again = second.drain();
    assert_eq!(
        (again.instance, again.epoch),
        (drained.instance, drained.epoch)
    );
    assert_eq!(again.flows, drained.flows);
    // What the first one's programs counted meanwhile.
    assert_eq!(second.drain().flows, [flow(TCP, (0, 80), (100, 1))]);
}

/// By it an agent knows whose filters it takes the place of.
#[tokio::test]
#[ignore = "needs root"]
async fn the_control_map_of_another_layout_is_found() {
    let directory = Directory::new("layouts");
    let first = load(&directory, (0, Uplinks::NONE));
    let number = first.attachable.control_map;
    drop(first);
    let own = format!("v{}", names::LAYOUT);
    fs::rename(directory.0.join(own), directory.0.join("v6")).expect("renamed");
    assert!(directory.0.join("v6/maps/CONTROL").exists());
    let found = directory.lock().control_maps().expect("listed");
    assert_eq!(found, [number].into());
}
