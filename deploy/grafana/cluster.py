"""Zones and money of one cluster: where bytes go, who moves them, what that costs."""

from grafana_foundation_sdk.builders import dashboard

import panels

HERE = 'cluster=~"$cluster", namespace=~"$namespace"'
# The node's own bytes are workloads like any other, as in the rules: without what the kernel sends.
POD = f'{{__name__=~"zonemeter_(pod|host)_bytes_total", kind!="kernel", {HERE}'
WORKLOAD = f'{{__name__=~"zonemeter_(workload|host)_bytes_total", kind!="kernel", {HERE}'
DOLLARS = f"namespace:zonemeter_transfer_dollars_per_hour:rate5m{{{HERE}"
NAMESPACES = f"namespace:zonemeter_transfer_dollars:increase5m{{{HERE}"
AMOUNTS = f"namespace_workload:zonemeter_transfer_dollars:increase5m{{{HERE}"
SAVINGS = f"namespace_workload:zonemeter_gateway_endpoint_savings_dollars:increase5m{{{HERE}"
PAIRS = f"workload_pair:zonemeter_transfer_dollars:increase5m{{{HERE}"
OUTSIDE = 'scope=~"internet|aws_service|peered|cross_region"'
BY_NAT = 'scope="aws_service", via="nat", peer_workload_kind="Network", peer_workload=~"s3|dynamodb"'
HOURS_A_MONTH = 730
RATIO = f"namespace:zonemeter_cross_zone:ratio_rate5m{{{HERE}}}"
# AWS bills by UTC months.
IN_THIS_MONTH = (
    "on () (month(vector(time() - 60))"
    " == on () month(timestamp(zonemeter:gigabyte:bytes @ end())))"
)
ENDS = {
    "namespace": "namespace",
    "workload": "workload",
    "workload_kind": "kind",
    "zone": "zone",
    "peer_namespace": "peer namespace",
    "peer_workload": "peer",
    "peer_workload_kind": "peer kind",
    "peer_zone": "peer zone",
}


def build():
    page = panels.page(
        "zonemeter-cluster",
        "zonemeter / Cluster",
        "Bytes within nodes, within zones, across zones and to the internet, and what they cost. "
        "Exact layer-3 bytes as VPC Flow Logs count them. Dollars come from zonemeter.prices.yaml.",
    ).with_variable(panels.cluster()).with_variable(
        panels.variable("namespace", "Namespace", 'label_values({__name__=~"zonemeter_(pod|host)_bytes_total", cluster=~"$cluster"}, namespace)')
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
            span=3,
        ),
        panels.number(
            "Share across zones",
            f'sum(rate({POD}, scope="cross_zone"}}[$__rate_interval]))'
            f' / sum(rate({POD}, scope=~"intra_node|intra_zone|cross_zone"}}[$__rate_interval]))',
            "percentunit",
            "Of the traffic between ends whose zones are known, both directions.",
            span=3,
            decimals=1,
        ),
        panels.number(
            "A month across zones",
            f'{HOURS_A_MONTH} * sum({DOLLARS}, scope="cross_zone"}})',
            "currencyUSD",
            "Mean of the last 5 minutes for 730 hours; both ends. Empty until there are 5 minutes.",
            span=3,
            decimals=2,
        ),
        panels.number(
            "A month to the internet",
            f'{HOURS_A_MONTH} * sum({DOLLARS}, scope="internet"}})',
            "currencyUSD",
            "Mean of the last 5 minutes for 730 hours, at the first paid tier: an upper bound. Empty until there are 5 minutes.",
            span=3,
            decimals=2,
        ),
        panels.number(
            "This month so far",
            f"sum(sum_over_time(({NAMESPACES}}} and {IN_THIS_MONTH})[31d:5m]))",
            "currencyUSD",
            "Since the first of the month, UTC: every priced scope, both ends. As far back as Prometheus has data.",
            span=3,
            decimals=2,
        ),
        panels.number(
            "A month, pace of 24 h",
            f"365 / 12 * 288 * avg_over_time(((sum({NAMESPACES}}}) or vector(0))"
            ' and on () count(zonemeter_build_info{cluster=~"$cluster"} offset 5m))[1d:5m])',
            "currencyUSD",
            "Every priced scope, both ends: the mean of the last 24 hours' steps of 5 minutes, or of those since the first agent was scraped.",
            span=3,
            decimals=2,
        ),
        panels.number(
            "Without a pod",
            "sum(rate(zonemeter_unattributed_bytes_total{cluster=~\"$cluster\"}[$__rate_interval]))"
            " / sum(rate(zonemeter_interface_bytes_total{cluster=~\"$cluster\"}[$__rate_interval]))",
            "percentunit",
            "Bytes seen that no pod could be found for, in the whole cluster.",
            span=3,
            decimals=3,
            thresholds=panels.steps("green", (0.001, "orange"), (0.01, "red")),
        ),
        panels.number(
            "Agents of nodes",
            [
                ('count(zonemeter_build_info{cluster=~"$cluster"})', "agents"),
                ('count(kube_node_info{cluster=~"$cluster", node!~"fargate-.*", os_image!~"Windows.*"})', "nodes"),
            ],
            "short",
            "Agents that Prometheus scrapes, and Linux nodes where kube-state-metrics tells of them.",
            span=3,
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
        panels.by_scope(
            "Sent across zones and out of the VPC",
            [
                (
                    f'sum by (scope) (rate({sent}, scope!~"intra_node|intra_zone|link_local"}}[$__rate_interval]))',
                    "{{scope}}",
                )
            ],
            "Bps",
            "The same without what stays in a zone and costs nothing.",
        ),
        panels.matrix(
            "Zone to zone",
            f'sum by (zone, peer_zone) (increase({sent}, peer_zone!="", scope!="intra_node"}}[$__range]))',
            "zone",
            "peer_zone",
            "decbytes",
            "Sent by pods in the row's zone to the column's zone in the time range, without what stays on a node.",
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
                    f"{RATIO} and topk(10, avg_over_time({RATIO}[$__range] @ end()))",
                    "{{namespace}}",
                )
            ],
            "percentunit",
            "Of the traffic between ends whose zones are known.",
        ),
    ]


def payers():
    return [
        panels.rows(
            "Dollars of the time range by workload",
            [
                (
                    "dollars",
                    "currencyUSD",
                    f"topk(20, sum by (namespace, workload, workload_kind) (sum_over_time({AMOUNTS}}}[$__range:5m])))",
                )
            ],
            {"namespace": "namespace", "workload": "workload", "workload_kind": "kind"},
            "What it cost in the time range, in whole steps of 5 minutes: each workload's own end, every priced scope. Choose Last 30 days or This month so far for a month.",
            links={"workload": panels.of_row()},
        ),
        panels.lines(
            "Dollars an hour by namespace",
            [
                (
                    f"sum by (namespace) ({DOLLARS}}}) and topk(10, sum by (namespace)"
                    f" (avg_over_time({DOLLARS}}}[$__range] @ end())))",
                    "{{namespace}}",
                )
            ],
            "currencyUSD",
            "Every priced scope, mean of 5 minutes.",
            stacked=True,
        ),
        pairs(),
    ]


def pairs():
    labels = ", ".join(ENDS)
    # Either end may be in a chosen namespace.
    either = f"({PAIRS}}} or {PAIRS.replace(' namespace=', ' peer_namespace=')}}})"
    dearest = f"topk(20, sum by ({labels}) (sum_over_time({either}[$__range:5m])))"
    moved = (
        f"sum by ({labels}) (sum_over_time(workload_peer:zonemeter_priced_bytes:increase5m"
        f'{{cluster=~"$cluster", direction="%s"}}[$__range:5m])) and {dearest}'
    )
    exchanged = f'sum by (%s) (increase({{__name__=~"zonemeter_(workload|host)_bytes_total", kind!="kernel", cluster=~"$cluster", scope=~"%s"}}[$__range]))'
    workloads = "namespace, workload, workload_kind, peer_namespace, peer_workload, peer_workload_kind"
    share = (
        f"({dearest} * 0 + 1) * on ({workloads}) group_left ()"
        f" ({exchanged % (workloads, 'cross_zone')}"
        f" / {exchanged % (workloads, 'intra_node|intra_zone|cross_zone')})"
    )
    return panels.rows(
        "Dearest pairs, both ends",
        [
            ("dollars", "currencyUSD", dearest),
            ("sent", "decbytes", moved % "transmit"),
            ("received", "decbytes", moved % "receive"),
            ("crosses zones", "percentunit", share),
        ],
        ENDS,
        "What each pair cost in the time range, in whole steps of 5 minutes: both directions, both ends, one row. Sent and received are the bytes with a price, as the first workload's own end counts them; crosses zones is the part of all that the two exchange.",
        span=24,
        height=11,
        links={"workload": panels.of_row(), "peer_workload": panels.of_row("peer_")},
    )


def egress():
    out = f'{WORKLOAD}, direction="transmit"'
    destination = {
        "namespace": "namespace",
        "workload": "workload",
        "scope": "scope",
        "via": "via",
        "peer_workload": "destination",
        "peer_zone": "zone",
    }
    labels = ", ".join(destination)
    workloads = "namespace, workload, workload_kind, peer_workload"
    most = f"topk(20, sum by ({labels}) (increase({WORKLOAD}, {OUTSIDE}}}[$__range])))"
    return [
        panels.lines(
            "To the internet by workload",
            [
                (
                    panels.busiest(10, "namespace, workload", f'{out}, scope="internet"}}'),
                    "{{namespace}}/{{workload}}",
                )
            ],
            "Bps",
            "What pods send to public addresses.",
            leads_to=panels.OF_SERIES,
        ),
        panels.lines(
            "Out of the VPC by way",
            [
                (
                    panels.busiest(10, "scope, via, peer_workload", f"{out}, {OUTSIDE}}}"),
                    "{{scope}} {{via}} {{peer_workload}}",
                )
            ],
            "Bps",
            "By scope, by NAT gateway, endpoint or the like where the networks file says so, and by the file's name of the destination.",
        ),
        panels.rows(
            "AWS services through NAT, by workload: a gateway endpoint would save",
            [
                (
                    "would save",
                    "currencyUSD",
                    f"topk(20, sum by ({workloads}) (sum_over_time({SAVINGS}}}[$__range:5m])))",
                ),
                (
                    "bytes",
                    "decbytes",
                    f"sum by ({workloads}) (increase({WORKLOAD}, {BY_NAT}}}[$__range]))",
                ),
            ],
            {
                "namespace": "namespace",
                "workload": "workload",
                "workload_kind": "kind",
                "peer_workload": "service",
            },
            "S3 and DynamoDB of the region by NAT gateways in the time range: processing both ways, and crossing zones to the gateway. A gateway endpoint is free and takes a route. Nothing is shown where the networks file does not tell by what traffic leaves the VPC.",
            span=24,
            height=9,
            links={"workload": panels.of_row()},
        ),
        panels.rows(
            "Destinations out of the VPC",
            [
                ("bytes", "decbytes", most),
                (
                    "dollars",
                    "currencyUSD",
                    f"sum by ({labels}) (sum_over_time({PAIRS}, {OUTSIDE}}}[$__range:5m])) and {most}",
                ),
            ],
            destination,
            "Both directions, in the time range. A destination has the name that the networks file gives it, and none otherwise. No dollars where nothing has a price.",
            span=24,
            height=11,
            links={"workload": panels.of_row()},
        ),
    ]
