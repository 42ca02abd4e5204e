#!/usr/bin/env python3
"""Compares Flink's counts with Emostream's windows: the final value of each channel, window and emote.

usage: compare.py EXPECTED COUNTED [--by-arrival | --moments]

EXPECTED: windows (or with --moments, moments) as `emostream log cat` prints them, a line each. COUNTED: what Flink wrote, a line
each; of several lines for one key the last is final. Either may be a folder of files. With --by-arrival Flink may have left out
reactions that Emostream flags as unverified (their ids came again after the horizon), as many as each window says and no more.

Prints one line of JSON; ends with 1 when there is a difference.
"""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

DIFFERENCES_SHOWN = 10


def lines(path):
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    for file in files:
        with file.open(encoding="utf-8") as text:
            yield from map(json.loads, text)


def start(text):
    """A window's start in seconds: Flink leaves out milliseconds that are zero."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return whole.replace(" ", "T") + "." + fraction.ljust(3, "0")


def expected_moments(path):
    moments = (row for row in lines(path) if row.get("type") == "moment")
    return {(row["channel"], start(row["window_start"]), row["emote"]): (row["count"], 0) for row in moments}, Counter()


def expected_counts(path):
    counts, unverified = {}, Counter()
    for window in lines(path):
        if window.get("type", "window") != "window":
            continue
        place = window["channel"], start(window["window_start"])
        unverified[place] = window["unverified"]
        for emote, count in window["counts"].items():
            counts[*place, emote] = count, window["late_by_emote"].get(emote, 0)
    return counts, unverified


def counted_counts(path):
    counts, changed = {}, 0
    for row in lines(path):
        # Moments have the start of their window as `timestamp`, as system A's readers know it, and no late reactions.
        key = row["channel"], start(row.get("window_start") or row["timestamp"]), row["emote"]
        value = row["count"], row.get("late", 0)
        changed += counts.get(key, value) != value
        counts[key] = value
    return counts, changed


def differences(expected, counted, unverified, by_arrival):
    missing, found = defaultdict(int), []
    for key in sorted(expected.keys() | counted.keys()):
        (want, _), (got, _) = expected.get(key, (0, 0)), counted.get(key, (0, 0))
        if by_arrival and got < want:
            missing[key[:2]] += want - got
        elif expected.get(key) != counted.get(key) and not (by_arrival and want == got):
            found.append((*key, expected.get(key), counted.get(key)))
    found += [(*place, f"{count} missing", unverified[place]) for place, count in missing.items() if count > unverified[place]]
    return found, sum(missing.values())


def main():
    paths, options = sys.argv[1:3], sys.argv[3:]
    if len(paths) != 2 or options not in ([], ["--by-arrival"], ["--moments"]):
        sys.exit("usage: compare.py EXPECTED COUNTED [--by-arrival | --moments]")
    by_arrival = "--by-arrival" in options
    read = expected_moments if "--moments" in options else expected_counts
    expected, unverified = read(Path(paths[0]))
    counted, changed = counted_counts(Path(paths[1]))
    found, missing = differences(expected, counted, unverified, by_arrival)
    print(json.dumps({
        "keys": len(expected), "counted_keys": len(counted), "changed": changed,
        "reactions": sum(count for count, _ in expected.values()),
        "counted": sum(count for count, _ in counted.values()),
        "unverified": sum(unverified.values()), "missing_unverified": missing, "differences": len(found),
    }))
    for difference in found[:DIFFERENCES_SHOWN]:
        print("  different:", *difference, file=sys.stderr)
    # No row is final twice with two values, so nobody who reads along ever sees one that is wrong.
    if found or changed or not expected:
        sys.exit(1)


main()
