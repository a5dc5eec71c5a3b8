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


def query(expr, legend="", instant=False):
    built = (
        prometheus.Dataquery()
        .expr(expr)
        .legend_format(legend or "__auto")
        .datasource(DATASOURCE)
    )
    return built.instant() if instant else built.range()


def table_query(expr, ref="A"):
    return (
        query(expr, instant=True)
        .format(prometheus_models.PromQueryFormat.TABLE)
        .ref_id(ref)
    )


def number(title, expr, unit, description, span=4, decimals=None):
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .with_target(query(expr, instant=True))
        .unit(unit)
        .no_value("–")
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .span(span)
        .height(4)
    )
    return panel if decimals is None else panel.decimals(decimals)


def lines(title, queries, unit, description, span=12, stacked=False):
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
    for expr, legend in queries:
        panel = panel.with_target(query(expr, legend))
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


def rows(title, expr, columns, unit, description, span=12, height=9):
    """A table of one instant query; `columns` are its labels in order, with their headings."""
    order = {label: index for index, label in enumerate(columns)}
    renamed = {**columns, "Value": title_of(unit)}
    return (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .with_target(table_query(expr))
        .with_transformation(
            models.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": {"Time": True},
                    "indexByName": {**order, "Value": len(order)},
                    "renameByName": renamed,
                },
            )
        )
        .override_by_name(
            title_of(unit), [models.DynamicConfigValue(id_val="unit", value=unit)]
        )
        .sort_by(
            [common.TableSortByFieldState().display_name(title_of(unit)).desc(True)]
        )
        .span(span)
        .height(height)
    )


def matrix(title, expr, row, column, unit, description, span=12, height=9):
    """A table with one row for each value of `row` and one column for each of `column`."""
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
        .span(span)
        .height(height)
    )


def title_of(unit):
    return {"decbytes": "bytes", "currencyUSD": "dollars", "Bps": "bytes/s"}.get(unit, "value")


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
