//! Which interfaces to look at in a second: those that carried packets since the last one, and a
//! share of the rest. Where no packet passes, nobody can hide one.

use std::{collections::BTreeMap, fs, io};

/// Seconds after which an idle interface is looked at again.
const IDLE_SECONDS: u32 = 10;

/// Packets that passed an interface in either direction, by its name.
type PacketCounts = BTreeMap<String, u64>;

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    second: u32,
    seen: PacketCounts,
}

impl Rounds {
    /// Those of `interfaces`, which are indices and names, that are due in this second: one call
    /// for each second.
    pub(crate) fn due<'a>(&mut self, interfaces: impl Iterator<Item = (u32, &'a str)>) -> Vec<u32> {
        let passed = read().unwrap_or_else(|error| {
            tracing::debug!("reading the interfaces' counters: {error}");
            PacketCounts::new()
        });
        self.of(interfaces, passed)
    }

    fn of<'a>(
        &mut self,
        interfaces: impl Iterator<Item = (u32, &'a str)>,
        passed: PacketCounts,
    ) -> Vec<u32> {
        self.second = self.second.wrapping_add(1) % IDLE_SECONDS;
        // One that is not listed under its name, such as a renamed one, is not known to be idle.
        let is_idle = |name| passed.contains_key(name) && passed.get(name) == self.seen.get(name);
        let due = interfaces
            .filter(|(index, name)| !is_idle(*name) || index % IDLE_SECONDS == self.second);
        let due = due.map(|(index, _)| index).collect();
        self.seen = passed;
        due
    }
}

/// All interfaces of this thread's network namespace, without the kernel's lock of all links.
fn read() -> io::Result<PacketCounts> {
    Ok(parse(&fs::read_to_string("/proc/thread-self/net/dev")?))
}

/// `name: ` and numbers, of which the second is received packets and the tenth sent ones
/// (`dev_seq_printf_stats` in `net/core/net-procfs.c`), below two lines of heads.
fn parse(table: &str) -> PacketCounts {
    let line = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let mut numbers = numbers.split_ascii_whitespace().skip(1).step_by(8);
        let mut number = || numbers.next()?.parse::<u64>().ok();
        Some((name.trim().to_owned(), number()?.wrapping_add(number()?)))
    };
    table.lines().skip(2).filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 4106    34    0    0    0     0          0         0     4106      34    0    0    0     0       0          0
eni0123456789a:1000  7    1    2    3     4          5         6 2000       9    0    0    0     0       0          0
";

    #[test]
    fn packets_of_both_directions_are_read() {
        let expected = [("eni0123456789a".to_owned(), 16), ("lo".to_owned(), 68)];
        assert_eq!(parse(TABLE), PacketCounts::from(expected));
        assert!(read().unwrap().contains_key("lo"));
    }

    /// 100 idle veths and a busy one: the busy one each second, each idle one once in ten.
    #[test]
    fn idle_interfaces_take_turns() {
        let names: Vec<String> = (0..=100).map(|index| format!("eni{index}")).collect();
        let interfaces = || (0..).zip(names.iter().map(String::as_str));
        let mut rounds = Rounds::default();
        let mut passed: PacketCounts = names.iter().map(|name| (name.clone(), 5)).collect();
        assert_eq!(
            rounds.of(interfaces(), passed.clone()).len(),
            101,
            "all at first"
        );
        let mut looks = vec![0; 101];
        for second in 0..10 {
            passed.insert("eni100".to_owned(), 6 + second);
            let due = rounds.of(interfaces(), passed.clone());
            assert!(due.len() <= 11, "{due:?}");
            due.into_iter().for_each(|index| looks[index as usize] += 1);
        }
        assert_eq!(looks[100], 10);
        assert!(looks[..100].iter().all(|count| *count == 1), "{looks:?}");
    }

    #[test]
    fn one_that_cannot_be_read_is_looked_at() {
        let mut rounds = Rounds::default();
        for _ in 0..3 {
            assert_eq!(
                rounds.of([(3, "eni3")].into_iter(), PacketCounts::new()),
                [3]
            );
        }
    }
}
