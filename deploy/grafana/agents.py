"""Health of the agents: do they count everything, and what do they need for it."""

from grafana_foundation_sdk.builders import dashboard

import panels

HERE = 'cluster=~"$cluster", instance=~"$instance"'
FAMILIES = ', __name__=~"zonemeter_(workload|pod|host)_bytes_total"'


def of(metric, more=""):
    return f"{metric}{{{HERE}{more}}}"


def build():
    page = panels.page(
        "zonemeter-agents",
        "zonemeter / Agents",
        "Whether every agent counts everything, and what that takes.",
    ).with_variable(panels.cluster()).with_variable(
        panels.variable("instance", "Instance", 'label_values(zonemeter_build_info{cluster=~"$cluster"}, instance)')
    )
    for panel in numbers():
        page = page.with_panel(panel)
    for title, build_panels in [
        ("Completeness", completeness),
        ("Work", work),
        ("Process", process),
    ]:
        page = page.with_row(dashboard.Row(title))
        for panel in build_panels():
            page = page.with_panel(panel)
    return page


def numbers():
    # Empty, and not 0, where nothing of that kind was seen yet.
    sums = " + ".join(
        f"(sum({of(metric)}) or vector(0))"
        for metric in [
            "zonemeter_pod_bytes_total",
            "zonemeter_unattributed_bytes_total",
            "zonemeter_pending_bytes",
            "zonemeter_retired_bytes_total",
        ]
    )
    return [
        panels.number("Agents", f"count({of('zonemeter_build_info')})", "short", "Scraped now."),
        panels.number(
            "Ready", f"avg({of('zonemeter_ready')})", "percentunit", "Of the agents: those whose /readyz answers 200.",
            thresholds=panels.ALL_WANTED,
        ),
        panels.number("Interfaces", f"sum({of('zonemeter_interfaces')})", "short", "Interfaces of pods that are counted."),
        panels.number(
            "Shadowed", f"sum({of('zonemeter_shadowed_interfaces')})", "short",
            "Interfaces where another program may take packets first.",
            thresholds=panels.NONE_WANTED,
        ),
        panels.number(
            "Missing bytes", f"sum({of('zonemeter_interface_bytes_total')}) - ({sums})", "decbytes",
            "Bytes of interfaces that no other metric accounts for: 0, always.",
            thresholds=panels.steps("red", (0, "green"), (1, "red")),
        ),
        panels.number(
            "Stalest drain", f"max(time() - ({of('zonemeter_last_drain_timestamp_seconds')} > 0))", "s",
            "Age of the oldest last drain.",
            thresholds=panels.steps("green", (30, "orange"), (60, "red")),
        ),
    ]


def completeness():
    return [
        panels.lines(
            "Bytes without a pod",
            [(f"sum by (reason) (rate({of('zonemeter_unattributed_bytes_total')}[$__rate_interval]))", "{{reason}}")],
            "Bps", "Seen, and for good without a pod or a peer.",
        ),
        panels.lines(
            "Bytes awaiting a name",
            [(f"sum by (instance) ({of('zonemeter_pending_bytes')})", "{{instance}}")],
            "decbytes", "Held back until the Pod object arrives.",
        ),
        panels.lines(
            "Skipped packets",
            [(f"sum by (reason) (rate({of('zonemeter_skipped_packets_total')}[$__rate_interval]))", "{{reason}}")],
            "pps", "No IP traffic, or not readable.",
        ),
        panels.lines(
            "Failures",
            [
                (f"sum(increase({of('zonemeter_attach_failures_total')}[$__rate_interval]))", "attach"),
                (f"sum by (kind) (increase({of('zonemeter_cluster_watch_errors_total')}[$__rate_interval]))", "read {{kind}}"),
                (f"sum by (file) (increase({of('zonemeter_config_reload_failures_total')}[$__rate_interval]))", "reload {{file}}"),
                (f"sum(increase({of('zonemeter_series_folded_total')}[$__rate_interval]))", "series folded"),
            ],
            "short", "Each is named in the log of the agent.",
        ),
    ]


def work():
    duration = of("zonemeter_drain_duration_seconds_bucket")
    return [
        panels.lines(
            "Drain duration",
            [
                (f"histogram_quantile({quantile}, sum by (le) (rate({duration}[$__rate_interval])))", legend)
                for quantile, legend in [(0.5, "p50"), (0.99, "p99")]
            ],
            "s", "From the flip of the kernel's maps to the new snapshot.",
        ),
        panels.lines(
            "Flow map in use",
            [(f"{of('zonemeter_flows')} / {of('zonemeter_flow_capacity')}", "{{instance}}")],
            "percentunit", "At each drain; a full map loses names, not bytes.",
        ),
        panels.lines(
            "Traffic series",
            [(f"count by (instance) ({of('', FAMILIES)})", "{{instance}}")],
            "short", "Of workloads, pods and the node itself, against --max-series.",
        ),
        panels.lines(
            "Kubernetes objects",
            [(f"max by (kind) ({of('zonemeter_cluster_objects')})", "{{kind}}")],
            "short", "Known to the agents; the largest of them.",
        ),
    ]


def process():
    job = f"and on (cluster, job, instance) {of('zonemeter_build_info')}"
    return [
        panels.lines(
            "CPU", [(f"rate({of('process_cpu_seconds_total')}[$__rate_interval]) {job}", "{{instance}}")],
            "short", "Cores, user and system.",
        ),
        panels.lines(
            "Memory", [(f"{of('process_resident_memory_bytes')} {job}", "{{instance}}")],
            "bytes", "Resident; the kernel's maps come on top.",
        ),
        panels.rows(
            "Versions",
            [("agents", "short", f"count by (version, revision) ({of('zonemeter_build_info')})")],
            {"version": "version", "revision": "revision"},
            "Agents by version.",
        ),
        panels.rows(
            "Interfaces by mode",
            [("interfaces", "short", f"sum by (mode) ({of('zonemeter_interfaces')})")],
            {"mode": "mode"},
            "How programs are attached.",
        ),
    ]
