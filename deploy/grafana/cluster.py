"""Zones and money of one cluster: where bytes go, who moves them, what that costs."""

from grafana_foundation_sdk.builders import dashboard

import panels

POD = 'zonemeter_pod_bytes_total{namespace=~"$namespace"'
WORKLOAD = 'zonemeter_workload_bytes_total{namespace=~"$namespace"'
DOLLARS = 'namespace_workload:zonemeter_transfer_dollars_per_hour:rate5m{namespace=~"$namespace"'
HOURS_A_MONTH = 730


def build():
    page = panels.page(
        "zonemeter-cluster",
        "zonemeter / Cluster",
        "Bytes within nodes, within zones, across zones and to the internet, and what they cost. "
        "Exact layer-3 bytes as VPC Flow Logs count them. Dollars come from zonemeter.prices.yaml.",
    ).with_variable(
        panels.variable("namespace", "Namespace", "label_values(zonemeter_pod_bytes_total, namespace)")
    )
    for panel in numbers():
        page = page.with_panel(panel)
    page = page.with_row(dashboard.Row("Zones"))
    for panel in zones():
        page = page.with_panel(panel)
    page = page.with_row(dashboard.Row("Who pays"))
    for panel in payers():
        page = page.with_panel(panel)
    page = page.with_row(dashboard.Row("Out of the VPC"))
    for panel in egress():
        page = page.with_panel(panel)
    return page


def numbers():
    cross = f'sum(rate({POD}, scope="cross_zone", direction="transmit"}}[$__rate_interval]))'
    return [
        panels.number(
            "Across zones",
            cross,
            "Bps",
            "Sent by pods to another zone now; each byte between two pods once.",
        ),
        panels.number(
            "Share across zones",
            f'sum(rate({POD}, scope="cross_zone"}}[$__rate_interval]))'
            f' / sum(rate({POD}, scope=~"intra_node|intra_zone|cross_zone"}}[$__rate_interval]))',
            "percentunit",
            "Of the traffic between ends whose zones are known, both directions.",
            decimals=1,
        ),
        panels.number(
            "A month across zones",
            f'{HOURS_A_MONTH} * sum({DOLLARS}, scope="cross_zone"}})',
            "currencyUSD",
            "If it went on like now for 730 hours; both ends, at the prices in zonemeter.prices.yaml.",
            decimals=2,
        ),
        panels.number(
            "A month to the internet",
            f'{HOURS_A_MONTH} * sum({DOLLARS}, scope="internet"}})',
            "currencyUSD",
            "If it went on like now for 730 hours, at the first paid tier: an upper bound.",
            decimals=2,
        ),
        panels.number(
            "Without a pod",
            "sum(rate(zonemeter_unattributed_bytes_total[$__rate_interval]))"
            " / sum(rate(zonemeter_interface_bytes_total[$__rate_interval]))",
            "percentunit",
            "Bytes seen that no pod could be found for, in the whole cluster.",
            decimals=3,
        ),
        panels.number(
            "Nodes counted",
            "count(zonemeter_build_info)",
            "short",
            "Agents that Prometheus scrapes.",
        ),
    ]


def zones():
    sent = f'{POD}, direction="transmit"'
    return [
        panels.by_scope(
            "Sent by scope",
            [(f"sum by (scope) (rate({sent}}}[$__rate_interval]))", "{{scope}}")],
            "Bps",
            "What pods send, by what lies between them and the other end.",
        ),
        panels.matrix(
            "Zone to zone",
            f'sum by (zone, peer_zone) (increase({sent}, peer_zone!=""}}[$__range]))',
            "zone",
            "peer_zone",
            "decbytes",
            "Sent by pods in the row's zone to the column's zone, in the time range.",
        ),
        panels.lines(
            "Zone pairs",
            [
                (
                    f'sum by (zone, peer_zone) (rate({sent}, scope="cross_zone"}}[$__rate_interval]))',
                    "{{zone}} → {{peer_zone}}",
                )
            ],
            "Bps",
            "Sent from one zone to another.",
        ),
        panels.lines(
            "Share across zones by namespace",
            [
                (
                    'topk(10, namespace:zonemeter_cross_zone:ratio_rate5m{namespace=~"$namespace"})',
                    "{{namespace}}",
                )
            ],
            "percentunit",
            "Of the traffic between ends whose zones are known.",
        ),
    ]


def payers():
    both_ends = "namespace, workload, workload_kind, zone, peer_namespace, peer_workload, peer_workload_kind, peer_zone"
    return [
        panels.rows(
            "Dollars a month by workload",
            f"topk(20, {HOURS_A_MONTH} * sum by (namespace, workload, workload_kind)"
            f" (avg_over_time({DOLLARS}}}[$__range])))",
            {"namespace": "namespace", "workload": "workload", "workload_kind": "kind"},
            "currencyUSD",
            "Mean of the time range times 730 hours: each workload's own end, across zones and to the internet.",
        ),
        panels.lines(
            "Dollars an hour by namespace",
            [(f"topk(10, sum by (namespace) ({DOLLARS}}}))", "{{namespace}}")],
            "currencyUSD",
            "Across zones and to the internet.",
            stacked=True,
        ),
        panels.rows(
            "Busiest pairs across zones",
            f'topk(20, sum by ({both_ends}) (increase({WORKLOAD}, scope="cross_zone", direction="transmit"}}[$__range])))',
            {
                "namespace": "namespace",
                "workload": "workload",
                "workload_kind": "kind",
                "zone": "zone",
                "peer_namespace": "peer namespace",
                "peer_workload": "peer",
                "peer_workload_kind": "peer kind",
                "peer_zone": "peer zone",
            },
            "decbytes",
            "Sent in the time range. Bytes the other way are in the row of the peer's workload.",
            span=24,
            height=11,
        ),
    ]


def egress():
    out = f'{WORKLOAD}, direction="transmit"'
    return [
        panels.lines(
            "To the internet by workload",
            [
                (
                    f'topk(10, sum by (namespace, workload) (rate({out}, scope="internet"}}[$__rate_interval])))',
                    "{{namespace}}/{{workload}}",
                )
            ],
            "Bps",
            "What pods send to public addresses.",
        ),
        panels.lines(
            "To AWS services and peered networks",
            [
                (
                    f'topk(10, sum by (scope, peer_workload) (rate({out}, scope=~"aws_service|peered|vpc"}}[$__rate_interval])))',
                    "{{scope}} {{peer_workload}}",
                )
            ],
            "Bps",
            "By the name in the networks file; without a name where it has none.",
        ),
    ]
