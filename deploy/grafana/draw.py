r"""Asks every query of every dashboard of a real Prometheus and draws the answers.

    pip install -r requirements-draw.txt
    python draw.py http://127.0.0.1:9090 --out DIR [--range 600] [--step 5] \
        [--set namespace=shop --set workload=client]

--age is for how long there has been data, where that is longer than the range. --set chooses for a variable that has one value; the others stay at All. There is one picture for
each dashboard. These are drawings of the panels' own queries by matplotlib, laid out as in the
dashboard; they are not pictures of Grafana. Ends with 1 and names every query and variable that
has no data.
"""

import argparse
import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plot

from promql import Prometheus, Variables

FOLDER = pathlib.Path(__file__).parent / "dashboards"
COLUMNS = 24
# Inches for one unit of Grafana's grid.
WIDTH, HEIGHT = 0.75, 0.36
# Dollars have no data before their window of five minutes is full, or without a whole step of it.
FULL_WINDOW = 360
NEEDS_WINDOW = ("_dollars_per_hour:", ":5m]")
# Metrics of others, which need not be there.
FOREIGN = ("kube_node_info",)
HEAT = matplotlib.colormaps["YlOrRd"]
NOTE = "Drawn by deploy/grafana/draw.py from the panels' own queries; not a picture of Grafana."


def main():
    arguments = parse()
    prometheus = Prometheus(arguments.url, arguments.range, arguments.step)
    prometheus.age_seconds = max(arguments.age, arguments.range)
    arguments.out.mkdir(parents=True, exist_ok=True)
    empty = []
    for path in sorted(FOLDER.glob("*.json")):
        empty += draw(path, prometheus, dict(arguments.set), arguments.out)
    for line in empty:
        print(f"no data: {line}", file=sys.stderr)
    sys.exit(1 if empty else 0)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--range", type=int, default=600, metavar="SECONDS")
    parser.add_argument("--age", type=int, default=0, metavar="SECONDS")
    parser.add_argument("--step", type=int, default=5, metavar="SECONDS")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        type=lambda text: text.split("=", 1))
    return parser.parse_args()


def draw(path, prometheus, given, out):
    """Draws one dashboard; what has no data."""
    dashboard = json.loads(path.read_text())
    variables = Variables(dashboard, prometheus, given)
    panels = dashboard["panels"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) + 2
    figure = plot.figure(figsize=(COLUMNS * WIDTH, rows * HEIGHT))
    figure.text(0.01, 1 - 0.8 / rows, dashboard["title"], fontsize=15, weight="bold")
    figure.text(0.99, 1 - 0.8 / rows, NOTE, fontsize=8, color="#777", ha="right")
    empty = [f"{dashboard['title']}: {line}" for line in variables.empty]
    for panel in panels:
        drawn = Panel(figure, panel, rows, variables, prometheus)
        empty += [f"{dashboard['title']}: {panel['title']}: {expr}" for expr in drawn.empty]
    figure.savefig(out / f"{path.stem}.png", dpi=80, facecolor="white")
    plot.close(figure)
    return empty


class Panel:
    """One panel in its place."""

    def __init__(self, figure, panel, rows, variables, prometheus):
        self.figure, self.panel, self.rows = figure, panel, rows
        self.variables, self.prometheus = variables, prometheus
        self.unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "")
        self.empty = []
        kinds = {"row": self.row, "stat": self.stat, "timeseries": self.lines, "table": self.table}
        kinds[panel["type"]]()

    def box(self, left=0.2, right=0.2, top=1.3, bottom=0.4):
        """Where the panel lies, less a margin in units of the grid."""
        place = self.panel["gridPos"]
        x, width = (place["x"] + left) / COLUMNS, (place["w"] - left - right) / COLUMNS
        y = 1 - (place["y"] + 2 + place["h"] - bottom) / self.rows
        return [x, y, width, (place["h"] - top - bottom) / self.rows]

    def title(self, axes):
        axes.set_title(self.panel["title"], fontsize=9, loc="left", weight="bold")

    def row(self):
        place = self.panel["gridPos"]
        y = 1 - (place["y"] + 2.7) / self.rows
        self.figure.text(0.01, y, self.panel["title"], fontsize=12, color="#345")

    def stat(self):
        axes = self.figure.add_axes(self.box())
        axes.axis("off")
        self.title(axes)
        told = []
        for target in self.panel["targets"]:
            for labels, value in self.instant(target):
                name = "" if target["legendFormat"] == "__auto" else self.legend(target, labels)
                told.append((f"{human(value, self.unit)} {name}".strip(), value))
        text = ", ".join(one for one, _ in told) or "–"
        color = self.level(told[0][1]) if told else "#777"
        axes.text(0.02, 0.3, text, fontsize=18, color=color)

    def level(self, value):
        """The colour of the highest threshold that the value reaches."""
        steps = self.panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        reached = [one["color"] for one in steps if one["value"] is None or value >= one["value"]]
        return {"blue": "#1f60c4"}.get(reached[-1], reached[-1])

    def lines(self):
        axes = self.figure.add_axes(self.box(left=1.3, bottom=3.0))
        self.title(axes)
        series = [one for target in self.panel["targets"] for one in self.ranged(target)]
        stacked = self.panel["fieldConfig"]["defaults"]["custom"].get("stacking", {}).get("mode")
        colors = self.colors()
        below = {}
        for index, (name, times, values) in enumerate(series):
            color = colors.get(name, f"C{index % 10}")
            if stacked == "normal":
                base = [below.get(t, 0) for t in times]
                tops = [value + under for value, under in zip(values, base)]
                below.update(zip(times, tops))
                axes.fill_between(times, base, tops, label=name, color=color, alpha=0.6, linewidth=0)
            else:
                axes.plot(times, values, label=name, color=color, linewidth=1.2)
        axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
        axes.set_xlim(self.prometheus.end - self.prometheus.range_seconds, self.prometheus.end)
        axes.yaxis.set_major_formatter(lambda value, _: human(value, self.unit))
        axes.xaxis.set_major_formatter(lambda value, _: self.ago(value))
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
        if series:
            axes.legend(fontsize=6.5, loc="upper left", bbox_to_anchor=(0, -0.1), ncols=3, frameon=False)

    def ago(self, time):
        seconds = time - self.prometheus.end
        return f"{seconds / 60:.1f} min" if self.prometheus.range_seconds >= 300 else f"{seconds:.0f} s"

    def table(self):
        axes = self.figure.add_axes(self.box())
        axes.axis("off")
        self.title(axes)
        options = {one["id"]: one["options"] for one in self.panel["transformations"]}
        if "groupingToMatrix" in options:
            head, cells, shades = self.matrix(options["groupingToMatrix"])
        else:
            head, cells = self.joined(options["organize"])
            shades = None
        if cells:
            most = int(self.panel["gridPos"]["h"] - 2)
            height = min(len(cells), most) + 1
            box = [0, 1 - height / (most + 1), 1, height / (most + 1)]
            drawn = axes.table(cells[:most], cellColours=shades and shades[:most], colLabels=head, bbox=box,
                               edges="closed" if shades else "horizontal", cellLoc="left", colLoc="left")
            drawn.auto_set_font_size(False)
            drawn.set_fontsize(7.5)

    def joined(self, options):
        """Rows of all queries by their labels, as the transformations merge and organize do."""
        columns = sorted(options["indexByName"], key=options["indexByName"].get)
        values = [name for name in columns if name.startswith("Value")]
        labels = [name for name in columns if name not in values]
        found = [
            {tuple(one.get(label, "") for label in labels): value for one, value in self.instant(target)}
            for target in self.panel["targets"]
        ]
        units = {
            one["matcher"]["options"]: two["value"]
            for one in self.panel["fieldConfig"]["overrides"]
            for two in one["properties"]
            if two["id"] == "unit"
        }
        head = [options["renameByName"][name] for name in columns]
        told = lambda one, name: human(one, units[options["renameByName"][name]]) if one is not None else ""
        keys = sorted(found[0], key=lambda key: -found[0][key])
        return head, [
            [*key] + [told(one.get(key), name) for name, one in zip(values, found)] for key in keys
        ]

    def matrix(self, options):
        row, column = options["rowField"], options["columnField"]
        answer = self.instant(self.panel["targets"][0])
        values = {(one.get(row, ""), one.get(column, "")): value for one, value in answer}
        rows, columns = (sorted({key[index] for key in values}) for index in (0, 1))
        cells = [[name] + [human(values.get((name, other), 0), self.unit) for other in columns] for name in rows]
        most = max(values.values(), default=0) or 1
        shade = lambda value: HEAT(0.55 * value / most)
        shades = [["white"] + [shade(values.get((name, other), 0)) for other in columns] for name in rows]
        return [f"{row} \\ {column}", *columns], cells, shades

    def colors(self):
        fixed = {}
        for override in self.panel["fieldConfig"].get("overrides", []):
            for one in override["properties"]:
                if one["id"] == "color":
                    fixed[override["matcher"]["options"]] = one["value"]["fixedColor"]
        return fixed

    def instant(self, target):
        expr = self.variables.fill(target["expr"])
        return self.noted(expr, self.prometheus.instant(expr))

    def ranged(self, target):
        expr = self.variables.fill(target["expr"])
        answer = self.noted(expr, self.prometheus.range(expr))
        return [(self.legend(target, labels), times, values) for labels, times, values in answer]

    def noted(self, expr, answer):
        young = self.prometheus.age_seconds < FULL_WINDOW and any(mark in expr for mark in NEEDS_WINDOW)
        foreign = any(name in expr for name in FOREIGN)
        if not answer and not young and not foreign:
            self.empty.append(expr)
        return answer

    def legend(self, target, labels):
        text = self.variables.fill(target["legendFormat"])
        for name in sorted(labels, key=len, reverse=True):
            text = text.replace("{{" + name + "}}", labels[name])
        while "{{" in text:
            start = text.index("{{")
            text = text[:start] + text[text.index("}}", start) + 2 :]
        return text.strip()


def human(value, unit):
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "currencyUSD":
        return f"${value:,.2f}" if value >= 0.01 or value == 0 else f"${value:.2g}"
    suffix = {"Bps": "B/s", "decbytes": "B", "bytes": "B", "pps": "p/s", "s": "s"}.get(unit, "")
    if unit == "s" and 0 < abs(value) < 1:
        return f"{1000 * value:.3g} ms"
    for power, prefix in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")]:
        if abs(value) >= power and suffix:
            return f"{value / power:.3g} {prefix}{suffix}"
    return f"{value:.4g} {suffix}".strip()


if __name__ == "__main__":
    main()
