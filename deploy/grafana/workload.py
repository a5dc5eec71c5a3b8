"""One workload: its peers, and before against after a change."""

from grafana_foundation_sdk.builders import dashboard

import panels

SELECT = 'cluster=~"$cluster", namespace="$namespace", workload="$workload"'
# Of pods, or of the node itself: a unit has no namespace, and is opened by a link.
BYTES = f'{{__name__=~"zonemeter_(workload|host)_bytes_total", {SELECT}'
DOLLARS = f"namespace_workload:zonemeter_transfer_dollars_per_hour:rate5m{{{SELECT}}}"
AMOUNTS = f"workload_peer:zonemeter_transfer_dollars:increase5m{{{SELECT}"
RATIO = f"namespace_workload:zonemeter_cross_zone:ratio_rate5m{{{SELECT}}}"
PEERS = "peer_namespace, peer_workload, peer_zone"
PEER = "{{peer_namespace}}/{{peer_workload}} {{peer_zone}}"
PEER_COLUMNS = {
    "scope": "scope",
    "via": "via",
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
        panels.cluster(),
        panels.variable(
            "namespace",
            "Namespace",
            'label_values({__name__=~"zonemeter_(workload|host)_bytes_total", cluster=~"$cluster"}, namespace)',
            several=False,
        ),
        panels.variable(
            "workload",
            "Workload",
            'label_values({__name__=~"zonemeter_(workload|host)_bytes_total", cluster=~"$cluster", namespace="$namespace"}, workload)',
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
            "This workload's own end, every priced scope. Empty until there are 5 minutes.",
        ),
    ]


def peers():
    labels = ", ".join(PEER_COLUMNS)
    most = f"topk(100, sum by ({labels}) (increase({BYTES}}}[$__range])))"
    across = f'{BYTES}, scope="cross_zone"'
    return [
        panels.lines(
            "Sent across zones by peer",
            [
                (
                    panels.busiest(10, PEERS, f'{across}, direction="transmit"}}'),
                    PEER,
                )
            ],
            "Bps",
            "The ten busiest peers in other zones.",
            leads_to=panels.link("${__field.labels.peer_namespace}", "${__field.labels.peer_workload}"),
        ),
        panels.lines(
            "Received across zones by peer",
            [
                (
                    panels.busiest(10, PEERS, f'{across}, direction="receive"}}'),
                    PEER,
                )
            ],
            "Bps",
            "The ten busiest peers in other zones.",
            leads_to=panels.link("${__field.labels.peer_namespace}", "${__field.labels.peer_workload}"),
        ),
        panels.rows(
            "All peers",
            [
                ("bytes", "decbytes", most),
                (
                    "dollars",
                    "currencyUSD",
                    f"sum by ({labels}) (sum_over_time({AMOUNTS}}}[$__range:5m])) and {most}",
                ),
            ],
            PEER_COLUMNS,
            "In the time range, the hundred busiest, both directions. Dollars are this workload's own end, in whole steps of 5 minutes.",
            span=24,
            height=12,
            links={"peer_workload": panels.of_row("peer_")},
        ),
    ]
