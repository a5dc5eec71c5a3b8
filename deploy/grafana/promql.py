"""Asks a Prometheus what a dashboard's panels and variables ask, as Grafana would."""

import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request


class Prometheus:
    """One server, and the time range that the dashboards look at."""

    def __init__(self, url, range_seconds, step_seconds):
        self.url = url.rstrip("/")
        self.end = time.time()
        self.range_seconds = range_seconds
        self.step_seconds = step_seconds

    def instant(self, expr):
        """Series of the last moment: (labels, value)."""
        answer = self._get("query", query=expr, time=self.end)
        return [(one["metric"], float(one["value"][1])) for one in answer["result"]]

    def range(self, expr):
        """Series over the range: (labels, times, values)."""
        start = self.end - self.range_seconds
        answer = self._get(
            "query_range", query=expr, start=start, end=self.end, step=self.step_seconds
        )
        return [
            (one["metric"], [float(t) for t, _ in one["values"]], [float(v) for _, v in one["values"]])
            for one in answer["result"]
        ]

    def label_values(self, selector, label):
        start = self.end - self.range_seconds
        path = f"label/{label}/values"
        return self._get(path, **{"match[]": selector, "start": start, "end": self.end})

    def _get(self, path, **parameters):
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(f"{parameters}: {error.read().decode()}") from error


class Variables:
    """Values for a dashboard's variables: all of several, else the first that has data."""

    def __init__(self, dashboard, prometheus, given):
        self.prometheus = prometheus
        self.values = {
            "__rate_interval": f"{4 * prometheus.step_seconds}s",
            "__range": f"{prometheus.range_seconds}s",
        }
        self.empty = []
        for variable in dashboard["templating"]["list"]:
            chosen = None if variable.get("includeAll") else given.get(variable["name"])
            self.values[variable["name"]] = chosen or self._value(variable)

    def fill(self, text):
        for name, value in self.values.items():
            text = text.replace(f"${{{name}}}", value)
            text = re.sub(rf"\${name}\b", lambda _, value=value: value, text)
        return text

    def _value(self, variable):
        if variable["type"] == "query":
            return self._queried(variable)
        return variable["query"].split(",")[0]

    def _queried(self, variable):
        selector, label = re.fullmatch(
            r"label_values\((.*), (\w+)\)", variable["query"]
        ).groups()
        values = [one for one in self.prometheus.label_values(self.fill(selector), label) if one]
        # Without several clusters there is no such label.
        if not values and label != "cluster":
            self.empty.append(f"variable {variable['name']}: {variable['query']}")
        if variable.get("includeAll"):
            return variable["allValue"]
        return values[0] if values else ""
