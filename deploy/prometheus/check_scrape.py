"""Reads one scrape in both formats with Prometheus's own Python parsers and compares them.

    pip install -r requirements.txt
    curl -s http://127.0.0.1:9464/metrics > scrape.txt
    curl -s -H 'Accept: application/openmetrics-text; version=1.0.0' http://127.0.0.1:9464/metrics > scrape.om
    python check_scrape.py scrape.txt scrape.om

The parsers refuse what the formats forbid: interleaved families, repeated series, counters
without _total, a missing end. Both scrapes must have the same series with the same types; values
may differ, because time passes between two scrapes.
"""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus


def main():
    if len(sys.argv) != 3:
        sys.exit(f"{sys.argv[1:]}: accepted are two files, Prometheus text and OpenMetrics")
    with open(sys.argv[1], encoding="utf-8") as text, open(sys.argv[2], encoding="utf-8") as om:
        left, right = series(prometheus(text.read())), series(open_metrics(om.read()))
    for name, labels, kind in sorted(left ^ right):
        print(f"only in one format: {kind} {name} {dict(labels)}", file=sys.stderr)
    if left ^ right or not left:
        sys.exit(1)
    print(f"{len(left)} series in both formats")


def series(families):
    return {
        (sample.name, tuple(sorted(sample.labels.items())), family.type)
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


if __name__ == "__main__":
    main()
