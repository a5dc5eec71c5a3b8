//! Keeps web pages out. The listener is on loopback, but a browser on the same machine (or at
//! the near end of `kubectl port-forward`) could be led to it by a name that an attacker's DNS
//! points at 127.0.0.1. Requests by `localhost` or by an address cannot be such.

use std::net::IpAddr;

use axum::{
    extract::Request,
    http::{StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::answer::Refusal;

pub(super) async fn refuse_names(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    let host = host.map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
    match host {
        Some(host) if !is_own(&host) => {
            let accepted = "localhost or an IP address";
            Refusal::new(StatusCode::FORBIDDEN, "Host", &host, accepted).into_response()
        }
        _ => next.run(request).await,
    }
}

fn is_own(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_are_localhost_and_addresses() {
        for host in [
            "localhost:9465",
            "LocalHost",
            "127.0.0.1:1",
            "[::1]:9465",
            "[::1]",
        ] {
            assert!(is_own(host), "{host}");
        }
        for host in [
            "evil.example:9465",
            "localhost.evil.example",
            "",
            "127.0.0.1.evil.example",
        ] {
            assert!(!is_own(host), "{host}");
        }
    }
}
