#!/usr/bin/env python3
"""Has PyIceberg and DuckDB say what is in tables that a fleet of workers has filled: so many events, each
once, and so many bad rows.

    tests/filled.py LAKE EVENTS BAD"""

import pathlib
import sys

from lakehouse import Wrong, agree, check, ids


def main(lake, events, bad):
    lake = pathlib.Path(lake)
    try:
        found = ids(lake)
        for name, expected in [("events", int(events)), ("bad", int(bad))]:
            rows, different = len(found[name]), len(set(found[name]))
            check((rows, different) == (expected, expected), f"{name}: {rows} rows of {different} ids, not {expected}")
        agree(lake)
    except Wrong as wrong:
        sys.exit(f"{lake}: {wrong}")


if __name__ == "__main__":
    main(*sys.argv[1:])
