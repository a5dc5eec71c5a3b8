"""Zones and money of one cluster: where bytes go, who moves them, what that costs."""

from grafana_foundation_sdk.builders import dashboard

import panels

POD = 'zonemeter_pod_bytes_total{cluster=~"$cluster", namespace=~"$namespace"'
WORKLOAD = 'zonemeter_workload_bytes_total{cluster=~"$cluster", namespace=~"$namespace"'
DOLLARS = 'namespace:zonemeter_transfer_dollars_per_hour:rate5m{cluster=~"$cluster", namespace=~"$namespace"'
AMOUNTS = 'namespace_workload:zonemeter_transfer_dollars:increase5m{cluster=~"$cluster", namespace=~"$namespace"'
PAIRS = 'workload_pair:zonemeter_transfer_dollars:increase5m{cluster=~"$cluster", namespace=~"$namespace"'
HOURS_A_MONTH = 730


def build():
    page = panels.page(
        "zonemeter-cluster",
        "zonemeter / Cluster",
        "Bytes within nodes, within zones, across zones and to the internet, and what they cost. "
        "Exact layer-3 bytes as VPC Flow Logs count them. Dollars come from zonemeter.prices.yaml.",
    ).with_variable(panels.cluster()).with_variable(
        panels.variable("namespace", "Namespace", 'label_values(zonemeter_pod_bytes_total{cluster=~"$cluster"}, namespace)')
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
    cross = 'sum(namespace:zonemeter_bytes:rate5m{cluster=~"$cluster", namespace=~"$namespace", scope="cross_zone", direction="transmit"})'
    return [
        panels.number(
            "Across zones",
            cross,
            "Bps",
            "Sent by pods to another zone, mean of the last 5 minutes; each byte between two pods once.",
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
            "Mean of the last 5 minutes for 730 hours; both ends. Empty until there are 5 minutes.",
            decimals=2,
        ),
        panels.number(
            "A month to the internet",
            f'{HOURS_A_MONTH} * sum({DOLLARS}, scope="internet"}})',
            "currencyUSD",
            "Mean of the last 5 minutes for 730 hours, at the first paid tier: an upper bound. Empty until there are 5 minutes.",
            decimals=2,
        ),
        panels.number(
            "Without a pod",
            "sum(rate(zonemeter_unattributed_bytes_total{cluster=~\"$cluster\"}[$__rate_interval]))"
            " / sum(rate(zonemeter_interface_bytes_total{cluster=~\"$cluster\"}[$__rate_interval]))",
            "percentunit",
            "Bytes seen that no pod could be found for, in the whole cluster.",
            decimals=3,
        ),
        panels.number(
            "Nodes counted",
            'count(zonemeter_build_info{cluster=~"$cluster"})',
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
                    'topk(10, namespace:zonemeter_cross_zone:ratio_rate5m{cluster=~"$cluster", namespace=~"$namespace"})',
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
            "Dollars of the time range by workload",
            f"topk(20, sum by (namespace, workload, workload_kind) (sum_over_time({AMOUNTS}}}[$__range:5m])))",
            {"namespace": "namespace", "workload": "workload", "workload_kind": "kind"},
            "currencyUSD",
            "What it cost in the time range, in whole steps of 5 minutes: each workload's own end, every priced scope. Choose Last 30 days or This month so far for a month.",
        ),
        panels.lines(
            "Dollars an hour by namespace",
            [(f"topk(10, sum by (namespace) ({DOLLARS}}}))", "{{namespace}}")],
            "currencyUSD",
            "Every priced scope, mean of 5 minutes.",
            stacked=True,
        ),
        panels.rows(
            "Dearest pairs, both ends",
            f"topk(20, sum by ({both_ends}) (sum_over_time({PAIRS}}}[$__range:5m])))",
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
            "currencyUSD",
            "What each pair cost in the time range, in whole steps of 5 minutes: both directions, both ends, one row.",
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
