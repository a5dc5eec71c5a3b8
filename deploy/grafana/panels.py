"""The few kinds of panel that the dashboards are made of."""

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models

DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")

# One colour for each scope in every panel: the farther, the warmer.
SCOPES = {
    "intra_node": "#73bf69",
    "intra_zone": "#5794f2",
    "cross_zone": "#f2495c",
    "vpc": "#8ab8ff",
    "peered": "#b877d9",
    "aws_service": "#ffb357",
    "internet": "#ff780a",
    "link_local": "#9fa7b3",
    "unresolved_service": "#ccccdc",
    "unknown": "#6e7077",
}


def query(expr, legend="", instant=False, number=0):
    built = (
        prometheus.Dataquery()
        .expr(expr)
        .ref_id(ref(number))
        .legend_format(legend or "__auto")
        .datasource(DATASOURCE)
    )
    return built.instant() if instant else built.range()


def ref(number):
    """What Grafana tells the queries of a panel apart by: A, B, C."""
    return chr(ord("A") + number)


def table_query(expr, number=0):
    return query(expr, instant=True, number=number).format(
        prometheus_models.PromQueryFormat.TABLE
    )


# Where a row of pairs or workloads leads; clusters, data source and time range go with it.
WORKLOAD_PAGE = (
    "/d/zonemeter-workload?${datasource:queryparam}&${cluster:queryparam}&${__url_time_range}"
    "&var-namespace=%s&var-workload=%s"
)


def link(namespace, workload):
    """Opens a workload's page. The arguments are labels: of a table's row, or of a line's series."""
    return {"title": "Peers of this workload", "url": WORKLOAD_PAGE % (namespace, workload)}


def of_row(prefix=""):
    return link(f"${{__data.fields.{prefix}namespace}}", f"${{__data.fields.{prefix}workload}}")


OF_SERIES = link("${__field.labels.namespace}", "${__field.labels.workload}")


def busiest(count, by, selector):
    """Rates of those that moved most in the time range: the same ones at every point of a line."""
    rate = f"sum by ({by}) (rate({selector}[$__rate_interval]))"
    return f"{rate} and topk({count}, sum by ({by}) (increase({selector}[$__range] @ end())))"


def steps(*pairs):
    """Colours by value: the first holds from minus infinity on."""
    base, rest = pairs[0], pairs[1:]
    levels = [models.Threshold(value=None, color=base)]
    levels += [models.Threshold(value=value, color=color) for value, color in rest]
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps(levels)
    )


# What should be 0, and what should be all.
NONE_WANTED = steps("green", (1e-9, "orange"))
ALL_WANTED = steps("red", (1, "green"))
# Without a judgement: more or less is not better or worse.
PLAIN = steps("blue")


def number(title, expr, unit, description, span=4, decimals=None, thresholds=PLAIN):
    """One value, or several: `expr` is then a list of expressions with their names."""
    several = [(expr, "")] if isinstance(expr, str) else expr
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .no_value("–")
        .thresholds(thresholds)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .span(span)
        .height(4)
    )
    for index, (one, name) in enumerate(several):
        panel = panel.with_target(query(one, name, instant=True, number=index))
    return panel if decimals is None else panel.decimals(decimals)


def lines(title, queries, unit, description, span=12, stacked=False, leads_to=None):
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .min(0)
        .fill_opacity(25 if stacked else 0)
        .line_width(1)
        .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.TABLE)
            .placement(common_models.LegendPlacement.BOTTOM)
            .calcs(["mean", "lastNotNull"])
            .show_legend(True)
        )
        .span(span)
        .height(9)
    )
    for index, (expr, legend) in enumerate(queries):
        panel = panel.with_target(query(expr, legend, number=index))
    if leads_to:
        panel = panel.data_links([data_link(leads_to)])
    if stacked:
        panel = panel.stacking(
            common.StackingConfig().mode(common_models.StackingMode.NORMAL)
        )
    return panel


def by_scope(title, queries, unit, description, span=12):
    """Stacked lines whose legend is a scope."""
    panel = lines(title, queries, unit, description, span, stacked=True)
    for scope, color in SCOPES.items():
        fixed = models.DynamicConfigValue(
            id_val="color", value={"mode": "fixed", "fixedColor": color}
        )
        panel = panel.override_by_name(scope, [fixed])
    return panel


def data_link(to):
    return dashboard.DashboardLink(to["title"]).url(to["url"])


def rows(title, queries, columns, description, span=12, height=9, links=None):
    """A table of instant queries with the same labels, joined to one row for each label set.

    `columns` are the labels in order, with their headings; `queries` are (heading, unit,
    expression), and the first one sorts. `links` say where the cells of a label lead."""
    several = len(queries) > 1
    # As Grafana names the columns of values.
    values = [f"Value #{ref(index)}" if several else "Value" for index in range(len(queries))]
    order = {field: index for index, field in enumerate([*columns, *values])}
    renamed = dict(columns)
    renamed.update({field: heading for field, (heading, _, _) in zip(values, queries)})
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .sort_by([common.TableSortByFieldState().display_name(queries[0][0]).desc(True)])
        .span(span)
        .height(height)
    )
    for index, (heading, unit, expr) in enumerate(queries):
        panel = panel.with_target(table_query(expr, index)).override_by_name(
            heading, [models.DynamicConfigValue(id_val="unit", value=unit)]
        )
    for label, to in (links or {}).items():
        panel = panel.override_by_name(
            columns[label], [models.DynamicConfigValue(id_val="links", value=[to])]
        )
    if several:
        panel = panel.with_transformation(
            models.DataTransformerConfig(id_val="merge", options={})
        )
    return panel.with_transformation(
        models.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {"Time": True},
                "indexByName": order,
                "renameByName": renamed,
            },
        )
    )


def matrix(title, expr, row, column, unit, description, span=12, height=9):
    """A heat map: a row for each value of `row`, a column for each of `column`."""
    return (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .with_target(table_query(expr))
        .with_transformation(
            models.DataTransformerConfig(
                id_val="groupingToMatrix",
                options={
                    "rowField": row,
                    "columnField": column,
                    "valueField": "Value",
                    "emptyValue": "zero",
                },
            )
        )
        .unit(unit)
        .min(0)
        .color_scheme(
            dashboard.FieldColor().mode(models.FieldColorModeId.CONTINUOUS_YL_RD)
        )
        .cell_options(common_models.TableColoredBackgroundCellOptions())
        # The names of the rows are no values.
        .override_by_name(
            f"{row}\\{column}",
            [models.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "auto"})],
        )
        .span(span)
        .height(height)
    )


def page(uid, title, description):
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["zonemeter"])
        .time("now-6h", "now")
        .refresh("1m")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("zonemeter")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["zonemeter"])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
        )
    )


def cluster():
    """Chooses clusters where Prometheus has several; All where series have no such label."""
    return variable("cluster", "Cluster", "label_values(zonemeter_build_info, cluster)")


def variable(name, label, expr, several=True):
    built = (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(expr)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )
    return built.multi(True).include_all(True).all_value(".*") if several else built
