//! Writes samples in the two text formats of `/metrics`.
//!
//! - Prometheus text 0.0.4:
//!   <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.
//!   A counter's HELP and TYPE lines carry the name with `_total`.
//! - OpenMetrics 1.0.0: <https://prometheus.io/docs/specs/om/open_metrics_spec/>. A counter's
//!   family has no `_total`, its samples do; `_created` beside each sample says since when it
//!   counts; the last line is `# EOF`.

use std::{
    fmt::{self, Write as _},
    io,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    catalogue::Metric,
    packing::{Packer, Part},
};

/// A text format of `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The `Content-Type` of the answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A body of `/metrics` while it is written.
#[derive(Debug)]
pub struct Exposition {
    format: Format,
    /// What is written and not yet packed.
    text: String,
    packer: Option<Packer>,
}

/// Packed in pieces that stay in the processor's cache: the whole text of 10,000 series has
/// megabytes and is never in memory at once.
const PIECE_BYTES: usize = 64 * 1024;

impl Exposition {
    /// An empty body, packed by gzip or plain.
    pub fn new(format: Format, gzip: bool) -> Self {
        Self {
            format,
            text: String::with_capacity(2 * PIECE_BYTES),
            packer: gzip.then(Packer::default),
        }
    }

    /// Begins a family. Its HELP and TYPE lines come with its first sample: a family without
    /// samples is not shown.
    pub fn family<'a>(&'a mut self, metric: &'static Metric) -> Family<'a> {
        Family {
            body: self,
            metric,
            begun: false,
        }
    }

    /// The body so far, as a part that another one follows.
    ///
    /// # Errors
    /// When packing failed.
    pub fn part(self) -> io::Result<Part> {
        self.end(Packer::part)
    }

    /// The finished body, or its last part.
    ///
    /// # Errors
    /// When packing failed.
    pub fn finish(mut self) -> io::Result<Part> {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.end(Packer::last)
    }

    fn end(self, end: fn(Packer) -> io::Result<Part>) -> io::Result<Part> {
        match self.packer {
            None => Ok(Part::plain(self.text)),
            Some(mut packer) => {
                packer.pack(&self.text);
                end(packer)
            }
        }
    }

    /// What is written and not yet packed.
    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn pack_full_pieces(&mut self) {
        if let Some(packer) = &mut self.packer
            && self.text.len() >= PIECE_BYTES
        {
            packer.pack(&self.text);
            self.text.clear();
        }
    }
}

/// A number that need not be whole: with a decimal point, and without an exponent.
#[derive(Clone, Copy, Debug)]
pub struct Decimal(pub f64);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.fract() == 0.0 {
            true => write!(f, "{:.1}", self.0),
            false => write!(f, "{}", self.0),
        }
    }
}

/// A family while its samples are written.
#[derive(Debug)]
pub struct Family<'a> {
    body: &'a mut Exposition,
    metric: &'static Metric,
    begun: bool,
}

impl Family<'_> {
    /// Writes one sample; `labels` are values in the order of [`Metric::labels`].
    pub fn sample(&mut self, labels: &[&str], value: impl fmt::Display) {
        self.write(labels, value, None);
    }

    /// Writes one sample of a counter that counts since `created`.
    pub fn sample_since(&mut self, labels: &[&str], value: u64, created: SystemTime) {
        self.write(labels, value, Some(created));
    }

    /// Writes a histogram without labels: the sum and the number of observations, and how many there
    /// are up to each bound.
    pub fn histogram(&mut self, sum: f64, count: u64, up_to: impl Iterator<Item = (f64, u64)>) {
        self.begin();
        let (name, text) = (self.metric.name, &mut self.body.text);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}_sum {}\n{name}_count {count}", Decimal(sum));
        for (bound, count) in up_to {
            let _ = writeln!(text, "{name}_bucket{{le=\"{}\"}} {count}", Decimal(bound));
        }
        let _ = writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {count}");
    }

    fn write(&mut self, labels: &[&str], value: impl fmt::Display, created: Option<SystemTime>) {
        self.begin();
        let text = &mut self.body.text;
        text.push_str(self.metric.name);
        let before = text.len();
        push_labels(text, self.metric, labels);
        let block = before..text.len();
        // Writing to a String cannot fail.
        let _ = writeln!(text, " {value}");
        if let (Some(created), Format::OpenMetrics) = (created, self.body.format) {
            text.push_str(self.metric.family());
            text.push_str("_created");
            text.extend_from_within(block);
            write_timestamp(text, created);
        }
        self.body.pack_full_pieces();
    }

    fn begin(&mut self) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let Metric { name, help, .. } = *self.metric;
        let family = self.metric.family();
        let kind = self.metric.kind.name();
        let text = &mut self.body.text;
        let _ = match (self.body.format, self.metric.unit()) {
            (Format::Prometheus, _) => {
                writeln!(text, "# HELP {name} {help}.\n# TYPE {name} {kind}")
            }
            (Format::OpenMetrics, None) => {
                writeln!(text, "# HELP {family} {help}.\n# TYPE {family} {kind}")
            }
            (Format::OpenMetrics, Some(unit)) => writeln!(
                text,
                "# HELP {family} {help}.\n# TYPE {family} {kind}\n# UNIT {family} {unit}"
            ),
        };
    }
}

fn push_labels(text: &mut String, metric: &Metric, labels: &[&str]) {
    debug_assert_eq!(labels.len(), metric.labels.len(), "{}", metric.name);
    let mut before = '{';
    for (label, value) in metric.labels.iter().zip(labels) {
        text.push(before);
        text.push_str(label);
        text.push_str("=\"");
        push_escaped(text, value);
        text.push('"');
        before = ',';
    }
    if before == ',' {
        text.push('}');
    }
}

/// Both formats escape the same three characters in a label's value.
fn push_escaped(text: &mut String, value: &str) {
    if !value.contains(['\\', '"', '\n']) {
        return text.push_str(value);
    }
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

/// Seconds since 1970 with milliseconds. A clock before 1970 shows as 0.
fn write_timestamp(text: &mut String, time: SystemTime) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let _ = writeln!(text, " {}.{:03}", since.as_secs(), since.subsec_millis());
}
