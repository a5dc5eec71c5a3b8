//! The programs on a kernel that does not describe its own types.

use super::*;

/// The extension headers go through the function that types would set apart.
#[tokio::test]
async fn the_programs_load_and_walk_extension_headers_without_type_information() {
    let methods = Methods {
        packet: false,
        table: false,
    };
    let settings = Settings {
        has_cgroup2: true,
        plan: of_flows(64),
        fold_ports: true,
        ephemeral_ports: [32768, 60999],
        methods,
        pin_dir: None,
    };
    let (object, _warnings) =
        object::load_without_types(&settings).expect("the programs load: run as root");
    let (kernel, attachable) = Kernel::new(object, methods, Instant::now()).expect("maps");
    let mut bench = Bench { kernel, attachable };
    let frame = Frame::ipv6(POD6, PEER6)
        .hop_by_hop(8)
        .destination_options(16)
        .udp(40000, 53, 10);
    // 40 + 8 + 16 + 8 + 10
    assert_eq!(bench.transmit(&frame), flow6(UDP, (0, 53), (82, 1)));
}
