//! Where a listener listens, as it is typed.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

/// What is accepted, for messages.
const ACCEPTED: &str = "an address and port, like [::]:9464 or 127.0.0.1:9464, or a Unix socket, like unix:/run/zonemeter.sock";
/// Longest path of a Unix socket: `sun_path` with its terminating zero (unix(7)), less the suffix
/// of the file that it is made as.
const LONGEST_PATH: usize = 107 - super::bind::NEW.len();

/// An address of `--listen`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An IP address and a port. `[::]` answers IPv4 too.
    Tcp(SocketAddr),
    /// `unix:` and an absolute path.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(path) = text.strip_prefix("unix:") else {
            return text.parse().map(Self::Tcp).map_err(|_| ACCEPTED);
        };
        match Path::new(path) {
            path if path.as_os_str().len() > LONGEST_PATH => {
                Err("a path of at most 103 bytes after unix:")
            }
            path if path.is_absolute() && path.file_name().is_some() => {
                Ok(Self::Unix(path.to_owned()))
            }
            _ => Err("unix: with an absolute path, like unix:/run/zonemeter.sock"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_is_shown() {
        for text in [
            "[::]:9464",
            "0.0.0.0:9464",
            "127.0.0.1:1",
            "unix:/run/z.sock",
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_told() {
        for text in ["", "9464", ":9464", "localhost:9464", "unix", "/run/z.sock"] {
            assert_eq!(text.parse::<Address>(), Err(ACCEPTED), "{text}");
        }
        for text in ["unix:", "unix:z.sock", "unix:/"] {
            let told = text.parse::<Address>().unwrap_err();
            assert!(told.contains("absolute path"), "{text}: {told}");
        }
        let longest = format!("unix:/{}", "a".repeat(102));
        assert!(longest.parse::<Address>().is_ok());
        let told = format!("{longest}a").parse::<Address>().unwrap_err();
        assert!(told.contains("103 bytes"), "{told}");
    }
}
