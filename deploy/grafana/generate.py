"""Writes dashboards/*.json with Grafana's foundation SDK; with --check, compares instead.

    pip install -r requirements.txt
    python generate.py [--check]
"""

import json
import pathlib
import re
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

import agents
import cluster
import workload

FOLDER = pathlib.Path(__file__).parent / "dashboards"
DASHBOARDS = {"cluster": cluster, "workload": workload, "agents": agents}


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(f"{sys.argv[1:]}: only --check is accepted")
    drifted = []
    texts = {name: rendered(module) for name, module in DASHBOARDS.items()}
    check_names(texts)
    check_import(texts)
    for name, text in texts.items():
        path = FOLDER / f"zonemeter-{name}.json"
        if check and (not path.exists() or path.read_text() != text):
            drifted.append(path.name)
        elif not check:
            path.write_text(text)
    if drifted:
        sys.exit(f"{', '.join(drifted)}: differ from what generate.py writes; run it without --check")


def rendered(module):
    dashboard = json.loads(json.dumps(module.build().build(), cls=JSONEncoder))
    for number, panel in enumerate(dashboard["panels"], start=1):
        panel["id"] = number
    return json.dumps(dashboard, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def check_import(texts):
    """Grafana's own types have every field, and panels and queries can be told apart."""
    register_default_plugins()
    for name, text in texts.items():
        page = json.loads(text)
        read = json.loads(json.dumps(Dashboard.from_json(json.loads(text)), cls=JSONEncoder))
        if dropped := list(lost(page, read, "")):
            sys.exit(f"{name}: Grafana does not know {', '.join(dropped)}")
        ids = [panel["id"] for panel in page["panels"]]
        refs = [[one["refId"] for one in panel.get("targets", [])] for panel in page["panels"]]
        if any(len(set(one)) != len(one) for one in [ids, *refs]) or len(page["uid"]) > 40:
            sys.exit(f"{name}: a panel's id or a query's refId twice, or a uid of more than 40 characters")


def lost(before, after, path):
    """Paths of what reading and writing again has dropped or changed."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            yield from lost(value, after.get(key), f"{path}/{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after)):
            yield from lost(one, other, f"{path}/{index}")
    elif before != after:
        yield path


def check_names(texts):
    """Queries and links name variables that their dashboard has, links dashboards that there are."""
    pages = {page["uid"]: page for page in map(json.loads, texts.values())}
    known = {
        uid: {one["name"] for one in page["templating"]["list"]} for uid, page in pages.items()
    }
    for name, text in texts.items():
        page = json.loads(text)
        used = set(re.findall(r"\$\{?([a-z]\w*)", text))
        if missing := used - known[page["uid"]]:
            sys.exit(f"{name}: no variable {', '.join(sorted(missing))}")
        for uid, query in re.findall(r'"/d/([^"?]+)\?([^"]*)"', text):
            wanted = set(re.findall(r"var-(\w+)=|\$\{(\w+):queryparam", query))
            wanted = {one or other for one, other in wanted}
            if uid not in pages or wanted - known[uid]:
                sys.exit(f"{name}: a link to {uid} with {', '.join(sorted(wanted))} leads nowhere")


if __name__ == "__main__":
    main()
