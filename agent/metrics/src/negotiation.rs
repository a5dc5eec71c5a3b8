//! Which format and encoding a scraper asks for (RFC 9110 §12.5.1 and §12.5.3).

use axum::http::{HeaderMap, HeaderName, header};

use super::exposition::Format;

/// The format with the highest q-value that is served here; [`Format::Prometheus`] where the
/// header is absent or names nothing that is served, as other exporters do.
pub(super) fn format(headers: &HeaderMap) -> Format {
    let mut best = None;
    for offer in offers(headers, header::ACCEPT) {
        let Some((format, exact)) = format_of(&offer) else {
            continue;
        };
        let rank = (offer.quality, exact);
        if offer.quality > 0 && best.is_none_or(|(top, _)| rank > top) {
            best = Some((rank, format));
        }
    }
    best.map_or(Format::Prometheus, |(_, format)| format)
}

/// True when the scraper takes gzip.
pub(super) fn gzip(headers: &HeaderMap) -> bool {
    let mut any = false;
    for offer in offers(headers, header::ACCEPT_ENCODING) {
        match offer.name.as_str() {
            "gzip" | "x-gzip" => return offer.quality > 0,
            "*" => any = offer.quality > 0,
            _ => {}
        }
    }
    any
}

/// The format that an offer means, and whether it names it rather than including it.
fn format_of(offer: &Offer) -> Option<(Format, bool)> {
    match (offer.name.as_str(), offer.version) {
        ("application/openmetrics-text", None | Some("1.0.0")) => Some((Format::OpenMetrics, true)),
        ("text/plain", None | Some("0.0.4")) => Some((Format::Prometheus, true)),
        ("text/*" | "*/*", None) => Some((Format::Prometheus, false)),
        _ => None,
    }
}

/// One element of a header that weighs its elements.
struct Offer<'a> {
    /// In lower case.
    name: String,
    version: Option<&'a str>,
    /// Thousandths; the header allows three digits.
    quality: u16,
}

/// The elements of all headers of that name; what cannot be read is left out.
fn offers(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Offer<'_>> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(offer)
}

fn offer(element: &str) -> Option<Offer<'_>> {
    let mut parts = element.split(';').map(str::trim);
    let name = parts.next()?.to_ascii_lowercase();
    let mut offer = Offer {
        name,
        version: None,
        quality: 1000,
    };
    for (key, value) in parts.filter_map(|part| part.split_once('=')) {
        match key.trim().to_ascii_lowercase().as_str() {
            "q" => offer.quality = thousandths(value.trim())?,
            "version" => offer.version = Some(value.trim().trim_matches('"')),
            _ => {}
        }
    }
    Some(offer)
}

fn thousandths(quality: &str) -> Option<u16> {
    let quality: f32 = quality.parse().ok()?;
    (0.0..=1.0)
        .contains(&quality)
        .then(|| (quality * 1000.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn the_heaviest_format_that_is_served_wins() {
        for (accept, expected) in [
            // Prometheus 3 and 2.5x as they ask by default.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Format::OpenMetrics,
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                 encoding=delimited;q=0.7,application/openmetrics-text;version=1.0.0;q=0.6,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                "text/plain;version=0.0.4;q=1, application/openmetrics-text;q=0.5",
                Format::Prometheus,
            ),
            ("*/*", Format::Prometheus),
            (
                "application/openmetrics-text;q=0, */*;q=0.1",
                Format::Prometheus,
            ),
            ("*/*, application/openmetrics-text", Format::OpenMetrics),
            (
                "Application/OpenMetrics-Text; Version=\"1.0.0\"",
                Format::OpenMetrics,
            ),
            (
                "application/openmetrics-text; version=2.0.0, text/plain;q=0.1",
                Format::Prometheus,
            ),
            ("application/openmetrics-text; q=high", Format::Prometheus),
            ("application/json", Format::Prometheus),
        ] {
            assert_eq!(
                format(&headers(header::ACCEPT, accept)),
                expected,
                "{accept}"
            );
        }
        assert_eq!(format(&HeaderMap::new()), Format::Prometheus);
    }

    #[test]
    fn gzip_only_when_asked() {
        for (accept, expected) in [
            ("gzip", true),
            ("identity, gzip;q=0.5", true),
            ("deflate, br", false),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("*", true),
        ] {
            let asked = gzip(&headers(header::ACCEPT_ENCODING, accept));
            assert_eq!(asked, expected, "{accept}");
        }
        assert!(!gzip(&HeaderMap::new()));
    }
}
