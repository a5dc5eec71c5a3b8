//! Which of Debian's kernels is meant, by the names of their packages.

use std::str::FromStr;

use anyhow::{Context, Error, Result};

use crate::image::arch::Arch;

pub(super) const PREFIX: &str = "linux-image-";

/// What the command line asks for: `6.1`, `6.12-rt`, `6.1-arm64` or `6.12-arm64-16k`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    flavour: Flavour,
    pub(super) version: Version,
}

/// What Debian builds a kernel for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavour {
    /// Clouds, with pages of 4 KiB.
    Cloud(Arch),
    /// `PREEMPT_RT`, on amd64.
    RealTime,
    /// Pages of 16 KiB, on arm64; there is none with 64 KiB.
    LargePages,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// The newest of a series, such as 6 and 1.
    Series(u32, u32),
    /// The newest that Debian has.
    Newest,
}

impl Flavour {
    /// With how it is said on the command line behind the version; the longest first.
    const ALL: [(&str, Self); 4] = [
        ("-arm64-16k", Self::LargePages),
        ("-arm64", Self::Cloud(Arch::Arm64)),
        ("-rt", Self::RealTime),
        ("", Self::Cloud(Arch::Amd64)),
    ];

    /// How its releases end.
    fn suffix(self) -> String {
        match self {
            Self::Cloud(arch) => format!("-cloud-{arch}"),
            Self::RealTime => "-rt-amd64".to_owned(),
            Self::LargePages => "-arm64-16k".to_owned(),
        }
    }
}

impl FromStr for Wanted {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = Flavour::ALL.into_iter().find_map(|(said, flavour)| {
            let version = text.strip_suffix(said)?.parse().ok()?;
            Some(Self { flavour, version })
        });
        parsed.with_context(|| {
            format!(
                "{text:?} is neither a series such as 6.1 nor newest, with -rt, -arm64, -arm64-16k \
                 or nothing behind it"
            )
        })
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "newest" {
            return Ok(Self::Newest);
        }
        let (major, minor) = text.split_once('.').context("no series")?;
        Ok(Self::Series(major.parse()?, minor.parse()?))
    }
}

impl Wanted {
    pub(super) fn arch(&self) -> Arch {
        match self.flavour {
            Flavour::Cloud(arch) => arch,
            Flavour::RealTime => Arch::Amd64,
            Flavour::LargePages => Arch::Arm64,
        }
    }

    /// The newest of `releases` that fits.
    pub(super) fn choose(&self, releases: impl Iterator<Item = String>) -> Option<String> {
        let suffix = self.flavour.suffix();
        let version = |release: &String| release.strip_suffix(&suffix).map(numbers);
        let fits = |release: &String| match (version(release), self.version) {
            (None, _) => false,
            (Some(_), Version::Newest) => true,
            (Some(numbers), Version::Series(major, minor)) => numbers.starts_with(&[major, minor]),
        };
        releases.filter(fits).max_by_key(version)
    }
}

/// From a package's name; signed images only, where there are both.
pub(super) fn release_of(package: &str) -> Option<&str> {
    package
        .strip_prefix(PREFIX)
        .filter(|release| is_release(release))
}

/// Whether it is a release of a kernel that can be asked for.
pub(super) fn is_release(name: &str) -> bool {
    let ends = |(_, flavour): (&str, Flavour)| name.ends_with(&flavour.suffix());
    name.starts_with(|first: char| first.is_ascii_digit()) && Flavour::ALL.into_iter().any(ends)
}

/// Every number in a version, in its order: that is how versions compare.
fn numbers(version: &str) -> Vec<u32> {
    version
        .split(|character: char| !character.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(wanted: &str) -> Option<String> {
        let packages = [
            "linux-image-6.1.0-47-cloud-amd64",
            "linux-image-6.1.0-50-cloud-amd64",
            "linux-image-6.1.0-50-cloud-amd64-unsigned",
            "linux-image-6.12.9+deb13-cloud-amd64",
            "linux-image-6.12.107+deb13-cloud-amd64",
            "linux-image-6.12.999+deb13-amd64",
            "linux-image-cloud-amd64",
            "linux-image-6.12.107+deb13-rt-amd64",
            "linux-image-6.12.108+deb13-rt-amd64-unsigned",
            "linux-image-6.1.0-51-cloud-arm64",
            "linux-image-6.12.107+deb13-arm64-16k",
            "linux-image-6.12.117+deb13-arm64-16k",
            "linux-image-6.12.118+deb13-arm64-16k-unsigned",
            "linux-image-arm64-16k",
        ];
        let releases = packages
            .into_iter()
            .filter_map(release_of)
            .map(str::to_owned);
        wanted.parse::<Wanted>().unwrap().choose(releases)
    }

    #[test]
    fn the_newest_of_a_series_is_chosen_by_number() {
        for (wanted, chosen) in [
            ("6.1", Some("6.1.0-50-cloud-amd64")),
            ("6.12", Some("6.12.107+deb13-cloud-amd64")),
            ("newest", Some("6.12.107+deb13-cloud-amd64")),
            ("5.10", None),
            ("6.12-rt", Some("6.12.107+deb13-rt-amd64")),
            ("6.1-arm64", Some("6.1.0-51-cloud-arm64")),
            ("6.12-arm64-16k", Some("6.12.117+deb13-arm64-16k")),
        ] {
            assert_eq!(choose(wanted).as_deref(), chosen, "{wanted}");
        }
    }

    #[test]
    fn what_is_no_series_is_refused() {
        for text in ["6", "6.x", "latest", "", "6.12-16k"] {
            assert!(text.parse::<Wanted>().is_err(), "{text}");
        }
    }
}
