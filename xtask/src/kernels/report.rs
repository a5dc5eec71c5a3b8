//! What the guests told, as a table.

use std::fmt;

use serde_json::Value;

use crate::test::Outcome;

const HEAD: [&str; 7] = [
    "kernel",
    "verifier accepts",
    "instructions verified",
    "auto takes",
    "connections by packet",
    "tests passed",
    "failed",
];

/// One kernel.
pub(super) struct Row {
    release: String,
    accepted: bool,
    /// Of the transmit and the receive program; nothing where the kernel does not tell.
    verified: Vec<String>,
    modes: String,
    by_packet: bool,
    pub(super) outcome: Outcome,
}

impl Row {
    /// From everything that a guest printed.
    pub(super) fn read(release: &str, printed: &str) -> Self {
        let check: Value = part(printed, "check")
            .and_then(|(text, _)| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let mut outcome = Outcome::default();
        // Only some guests run the tests of least privilege.
        let all = ["programs", "privilege", "lab"].into_iter();
        for name in all.filter(|name| *name != "privilege" || printed.contains("begin privilege")) {
            let title = format!("Linux {release}: {name}");
            let (text, code) = part(printed, name).unwrap_or_default();
            outcome.add(Outcome::read(&title, text, code == "0"));
        }
        Self {
            release: release.to_owned(),
            accepted: is_met(&check, "programs"),
            verified: verified(printed),
            modes: found(&check, "attach").to_owned(),
            by_packet: is_met(&check, "connections"),
            outcome,
        }
    }

    pub(super) fn release(&self) -> &str {
        &self.release
    }

    /// Everything passed, and something did.
    pub(super) fn is_green(&self) -> bool {
        self.accepted && self.outcome.failed == 0 && self.outcome.passed > 0
    }

    fn cells(&self) -> [String; 7] {
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        [
            self.release.clone(),
            yes(self.accepted),
            match self.verified[..] {
                [] => "not told".to_owned(),
                _ => self.verified.join(" + "),
            },
            self.modes.clone(),
            yes(self.by_packet),
            self.outcome.passed.to_string(),
            self.outcome.failed.to_string(),
        ]
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = self.cells();
        let named = HEAD
            .iter()
            .zip(&cells)
            .skip(1)
            .map(|(name, cell)| format!("{name}: {cell}"));
        write!(
            f,
            "{}: {}",
            self.release,
            named.collect::<Vec<_>>().join(", ")
        )
    }
}

/// A Markdown table.
pub(super) fn table(rows: &[Row]) -> String {
    let mut cells = vec![HEAD.map(str::to_owned), ["---"; 7].map(str::to_owned)];
    cells.extend(rows.iter().map(Row::cells));
    let width = |column: usize| cells.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let line = |row: &[String; 7]| {
        let padded = row
            .iter()
            .enumerate()
            .map(|(column, cell)| format!("{cell:<width$}", width = width(column)));
        format!("| {} |", padded.collect::<Vec<_>>().join(" | "))
    };
    cells.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The table with what a reader must know to judge it: of `commit`, among other things.
pub(super) fn document(table: &str, commit: &str) -> String {
    format!(
        "# Kernels\n\n\
         Which kernels the agent was tried on: Debian's cloud kernels, one with `PREEMPT_RT`, and on \
         arm64 one with pages of 16 KiB, each booted in an emulator, with the tests of the kernel programs on crafted packets, \
         one scenario of the lab for each way to attach, on arm64 also those of least privilege, and \
         what `zonemeter check` finds there. Linux 5.10 is the oldest that is supported.\n\n\
         Made by `cargo xtask kernels --write` of commit {commit}.\n\n{table}\n\n\
         - *Instructions verified*: how many the kernel's verifier walked through for the pods' transmit \
         and receive programs; it allows 1,000,000 for each. Linux 5.16 and newer tell \
         (`verified_insns` in the program's `fdinfo`).\n\
         - *Auto takes*: how the agent attaches where `--attach` does not say: TCX where the kernel \
         has it (6.6 and newer), else filters of the clsact qdisc, which are tested on every kernel.\n\
         - *Connections by packet*: the kernel describes its structures (BTF), so that the programs \
         read the connection that a packet carries. Where it does not, the agent asks the kernel's \
         connection table, once for each flow to a Service.\n\
         - On 5.10 and 6.1 the programs are not tried without the kernel's types (BTF), which every \
         EKS node has: the verifier of 5.10 did not end within five minutes, emulated, and that of \
         6.1 gives up after 1,000,000 instructions.\n"
    )
}

/// What the test says of each program: `Transmit: 20471 instructions`.
fn verified(printed: &str) -> Vec<String> {
    let (text, _) = part(printed, "verifier").unwrap_or_default();
    let counts = text.lines().filter_map(|line| {
        let (_, count) = line.strip_suffix(" instructions")?.rsplit_once(' ')?;
        Some(count.to_owned())
    });
    counts.collect()
}

/// What a part printed, and the exit code that it ended with.
fn part<'a>(printed: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let begin = format!("@zonemeter begin {name}\n");
    let end = format!("@zonemeter end {name} ");
    let (_, after) = printed.split_once(&begin)?;
    let (text, after) = after.split_once(&end)?;
    Some((text, after.lines().next().unwrap_or_default()))
}

fn requirement<'a>(check: &'a Value, name: &str) -> Option<&'a Value> {
    let all = check["requirements"].as_array()?;
    all.iter().find(|requirement| requirement["name"] == name)
}

fn is_met(check: &Value, name: &str) -> bool {
    requirement(check, name).is_some_and(|requirement| requirement["status"] == "ok")
}

fn found<'a>(check: &'a Value, name: &str) -> &'a str {
    requirement(check, name)
        .and_then(|requirement| requirement["found"].as_str())
        .unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = r#"
@zonemeter begin check
{"requirements":[{"name":"programs","status":"ok","found":"accepted"},
 {"name":"attach","status":"ok","found":"tc"},
 {"name":"connections","status":"warning","found":"no BTF"}]}
@zonemeter end check 0
@zonemeter begin programs
test tests::a ... ok
test result: ok. 1 passed; 0 failed; 0 ignored
@zonemeter end programs 0
@zonemeter begin verifier
running 1 test
test tests::guard::walk ... Transmit: 20471 instructions
Receive: 21931 instructions
ok
@zonemeter end verifier 0
@zonemeter begin lab
test tc ... FAILED
test result: FAILED. 1 passed; 1 failed; 0 ignored
@zonemeter end lab 101
"#;

    #[test]
    fn a_guest_is_read_part_by_part() {
        let row = Row::read("5.10.0-32-cloud-amd64", PRINTED);
        assert_eq!((row.outcome.passed, row.outcome.failed), (2, 1));
        assert!(row.accepted && !row.by_packet && !row.is_green());
        assert_eq!(
            table(&[row]).lines().last().unwrap(),
            "| 5.10.0-32-cloud-amd64 | yes              | 20471 + 21931         | tc         | no                    | 2            | 1      |"
        );
    }

    #[test]
    fn a_guest_that_dies_is_not_green() {
        let row = Row::read(
            "6.1",
            PRINTED.split("@zonemeter end programs").next().unwrap(),
        );
        assert_eq!((row.outcome.passed, row.outcome.failed), (0, 2));
        assert!(!row.is_green());
    }
}
