//! Builds the kernel programs (`agent-ebpf`) and leaves the object in `OUT_DIR`, from where the
//! the package takes it into the binary. They are compiled by a toolchain and a linker of their
//! own; where one is missing it says so in one line. `ZONEMETER_KERNEL_OBJECT=none` leaves them
//! out: everything compiles with Rust alone then, and the agent says at its start what it lacks.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use object::{
    build::elf::{Builder, SectionData},
    elf::SHT_STRTAB,
};

#[path = "../../agent-ebpf/toolchain.rs"]
mod toolchain;

const PACKAGE: &str = "zonemeter-ebpf";
const OBJECT: &str = "zonemeter-kernel";
/// `none` builds without them.
const SWITCH: &str = "ZONEMETER_KERNEL_OBJECT";

fn main() {
    if let Err(problem) = build() {
        println!("cargo::error={problem}");
    }
}

fn build() -> Result<(), String> {
    let out = PathBuf::from(variable("OUT_DIR")?);
    let workspace = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../..");
    for source in ["agent-ebpf", "agent-common", "Cargo.lock"] {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(source).display()
        );
    }
    println!("cargo::rerun-if-env-changed={SWITCH}");
    match env::var(SWITCH).as_deref() {
        Err(_) => {}
        Ok("none") => {
            return std::fs::write(out.join(OBJECT), []).map_err(|error| error.to_string());
        }
        Ok(value) => {
            return Err(format!(
                "{SWITCH}: {value:?} is not accepted: none, or unset"
            ));
        }
    }
    let (linker, sysroot) = installed()?;
    let workspace = workspace
        .canonicalize()
        .map_err(|error| format!("{}: {error}", workspace.display()))?;
    compile(&workspace, &out, &linker, &sysroot)
}

/// Checks for what `cargo xtask setup` installs, and returns the linker and the toolchain's folder.
fn installed() -> Result<(PathBuf, PathBuf), String> {
    let advice = "run `cargo xtask setup` once, it installs what the kernel programs need; \
         ZONEMETER_KERNEL_OBJECT=none builds without them";
    let linker = toolchain::linker().ok_or("neither XDG_CACHE_HOME nor HOME is set")?;
    if !linker.exists() {
        return Err(format!("{} is missing: {advice}", linker.display()));
    }
    println!("cargo::rerun-if-changed={}", linker.display());
    let output = Command::new("rustup")
        .args(["run", toolchain::RUST, "rustc", "--print", "sysroot"])
        .output()
        .map_err(|error| format!("rustup cannot be run ({error}): {advice}"))?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    match output.status.success() && toolchain::has_core(&sysroot) {
        true => Ok((linker, sysroot)),
        false => Err(format!(
            "toolchain {} with rust-src is not installed: {advice}",
            toolchain::RUST
        )),
    }
}

/// What compiles the programs, into the folder `target`.
fn compiler(workspace: &Path, target: &Path, linker: &Path, sysroot: &Path) -> Command {
    let home = |name: &str| env::var_os(name).map(PathBuf::from);
    let cargo_home = home("CARGO_HOME").or_else(|| Some(home("HOME")?.join(".cargo")));
    let registry = cargo_home.unwrap_or_default().join("registry/src");
    let mut cargo = Command::new("rustup");
    cargo
        .current_dir(workspace)
        .args(["run", toolchain::RUST, "cargo"])
        .args("build --locked --release -Zbuild-std=core --features bpf --package".split(' '))
        .args([PACKAGE, "--bin", OBJECT])
        .args(["--target", "bpfel-unknown-none", "--target-dir"])
        .arg(target)
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", linker)
        // The kernel side needs unstable features on the stable compiler.
        .env("RUSTC_BOOTSTRAP", "1")
        // Split into many units for an incremental build, the code is other code, and the programs
        // that walk IPv6 extensions without type information are too large for the verifier.
        .env("CARGO_INCREMENTAL", "0")
        // The release profile is for size; every packet pays for this code.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3")
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            [
                "-Cdebuginfo=2".to_owned(),
                // 32-bit arithmetic and jumps, which every kernel has that runs the programs (5.10).
                "-Ctarget-cpu=v3".to_owned(),
                "-Clink-arg=--btf".to_owned(),
                "-Clink-arg=--disable-expand-memcpy-in-order".to_owned(),
                // BTF names the source files, and belongs to the same bytes on every machine.
                format!("--remap-path-prefix={}=zonemeter", workspace.display()),
                format!("--remap-path-prefix={}=rust", sysroot.display()),
                format!("--remap-path-prefix={}=cargo", registry.display()),
            ]
            .join("\x1f"),
        );
    // Set by the outer cargo for the host: clippy's wrapper must not lint the dependencies here.
    for outer in [
        "CARGO",
        "RUSTC",
        "RUSTDOC",
        "RUSTUP_TOOLCHAIN",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
    ] {
        cargo.env_remove(outer);
    }
    cargo
}

fn compile(workspace: &Path, out: &Path, linker: &Path, sysroot: &Path) -> Result<(), String> {
    let target = out.join("bpf");
    let output = compiler(workspace, &target, linker, sysroot)
        .output()
        .map_err(|error| format!("{PACKAGE}: {error}"))?;
    if !output.status.success() {
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            println!("cargo::warning={line}");
        }
        return Err(format!("{PACKAGE} did not build: see the lines above"));
    }
    let built = target.join("bpfel-unknown-none/release").join(OBJECT);
    std::fs::read(&built)
        .map_err(|error| error.to_string())
        .and_then(|object| without_debug_sections(&object))
        .and_then(|object| {
            std::fs::write(out.join(OBJECT), object).map_err(|error| error.to_string())
        })
        .map_err(|error| format!("{}: {error}", built.display()))
}

/// Leaves out what bpf-linker has made BTF of: most of the object, and in every agent's memory.
fn without_debug_sections(object: &[u8]) -> Result<Vec<u8>, String> {
    let mut builder = Builder::read(object).map_err(|error| error.to_string())?;
    for section in &mut builder.sections {
        let name = section.name.as_slice();
        section.delete = name.starts_with(b".debug_") || name.starts_with(b".rel.debug_");
    }
    builder.delete_orphans();
    // LLVM keeps the names of sections with those of symbols, this writer apart from them.
    let names = builder.sections.add();
    names.name = ".shstrtab".into();
    names.sh_type = SHT_STRTAB;
    names.data = SectionData::SectionString;
    let mut written = Vec::new();
    builder
        .write(&mut written)
        .map_err(|error| error.to_string())?;
    Ok(written)
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
