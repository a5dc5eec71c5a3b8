"""Writes dashboards/*.json with Grafana's foundation SDK; with --check, compares instead.

    pip install -r requirements.txt
    python generate.py [--check]
"""

import json
import pathlib
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder

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
    for name, module in DASHBOARDS.items():
        path = FOLDER / f"zonemeter-{name}.json"
        text = rendered(module)
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


if __name__ == "__main__":
    main()
