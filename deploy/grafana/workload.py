"""One workload: its peers, and before against after a change."""

from grafana_foundation_sdk.builders import dashboard

import panels

SELECT = 'namespace="$namespace", workload="$workload"'
BYTES = f"zonemeter_workload_bytes_total{{{SELECT}"
DOLLARS = f"namespace_workload:zonemeter_transfer_dollars_per_hour:rate5m{{{SELECT}}}"
RATIO = f"namespace_workload:zonemeter_cross_zone:ratio_rate5m{{{SELECT}}}"
PEER = "{{peer_namespace}}/{{peer_workload}} {{peer_zone}}"
PEER_COLUMNS = {
    "direction": "direction",
    "scope": "scope",
    "zone": "zone",
    "peer_namespace": "peer namespace",
    "peer_workload": "peer",
    "peer_workload_kind": "peer kind",
    "peer_zone": "peer zone",
}


def build():
    page = panels.page(
        "zonemeter-workload",
        "zonemeter / Workload",
        "Who one workload speaks with, across which zones, and how that compares with an earlier time.",
    )
    for built in variables():
        page = page.with_variable(built)
    for panel in now() + comparison():
        page = page.with_panel(panel)
    page = page.with_row(dashboard.Row("Peers"))
    for panel in peers():
        page = page.with_panel(panel)
    return page


def variables():
    earlier = dashboard.CustomVariable("earlier").label("Compare with").values(
        "15m,1h,1d,1w,4w"
    )
    return [
        panels.variable(
            "namespace",
            "Namespace",
            "label_values(zonemeter_workload_bytes_total, namespace)",
            several=False,
        ),
        panels.variable(
            "workload",
            "Workload",
            'label_values(zonemeter_workload_bytes_total{namespace="$namespace"}, workload)',
            several=False,
        ),
        earlier,
    ]


def now():
    return [
        panels.by_scope(
            f"{verb} by scope",
            [
                (
                    f'sum by (scope) (rate({BYTES}, direction="{direction}"}}[$__rate_interval]))',
                    "{{scope}}",
                )
            ],
            "Bps",
            f"What the workload's pods {verb.lower()}.",
        )
        for verb, direction in [("Send", "transmit"), ("Receive", "receive")]
    ]


def comparison():
    return [
        panels.lines(
            "Share across zones, now and earlier",
            [(RATIO, "now"), (f"{RATIO} offset $earlier", "$earlier earlier")],
            "percentunit",
            "Of the traffic between ends whose zones are known, both directions.",
        ),
        panels.lines(
            "Dollars an hour, now and earlier",
            [
                (f"sum({DOLLARS})", "now"),
                (f"sum({DOLLARS} offset $earlier)", "$earlier earlier"),
            ],
            "currencyUSD",
            "This workload's own end, across zones and to the internet.",
        ),
    ]


def peers():
    labels = ", ".join(PEER_COLUMNS)
    across = f'{BYTES}, scope="cross_zone"'
    return [
        panels.lines(
            "Sent across zones by peer",
            [
                (
                    "topk(10, sum by (peer_namespace, peer_workload, peer_zone) "
                    f'(rate({across}, direction="transmit"}}[$__rate_interval])))',
                    PEER,
                )
            ],
            "Bps",
            "The ten busiest peers in other zones.",
        ),
        panels.lines(
            "Received across zones by peer",
            [
                (
                    "topk(10, sum by (peer_namespace, peer_workload, peer_zone) "
                    f'(rate({across}, direction="receive"}}[$__rate_interval])))',
                    PEER,
                )
            ],
            "Bps",
            "The ten busiest peers in other zones.",
        ),
        panels.rows(
            "All peers",
            f"topk(100, sum by ({labels}) (increase({BYTES}}}[$__range])))",
            PEER_COLUMNS,
            "decbytes",
            "Bytes in the time range, the hundred busiest.",
            span=24,
            height=12,
        ),
    ]
