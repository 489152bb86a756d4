#!/usr/bin/env python3
"""Works out what a record of vouchings must come to under program.yaml, and compares a summary of
`guerdon replay-referrals --json` with it, to the unit.

    examples/keyring/recompute.py vouchings.csv summary.json
"""
import collections
import csv
import datetime
import json
import sys

FRIEND, ADVOCATE = 10, 100
MILESTONES = [(10, 3), (5, 2)]  # from the tenth friend on three times, from the fifth twice
GENERATIONS = [50, 25]  # percent of what the advocate gets before milestones


def times(number):
    return next((times for first, times in MILESTONES if first <= number), 1)


def main():
    with open(sys.argv[1], newline="") as file:
        rows = [(datetime.datetime.fromisoformat(row["instant"].replace("Z", "+00:00")), row["advocate"], row["friend"])
                for row in csv.DictReader(file)]
    advocate_of, since, first, circles = {}, {}, set(), 0
    for at, advocate, friend in sorted(rows):
        if friend in first:
            continue
        first.add(friend)
        above = advocate
        while above in advocate_of and above != friend:
            above = advocate_of[above]
        if above == friend:
            circles += 1
        else:
            advocate_of[friend], since[friend] = advocate, at
    units = FRIEND * len(advocate_of)
    for brought in collections.Counter(advocate_of.values()).values():
        units += sum(ADVOCATE * times(number) for number in range(1, brought + 1))
    for friend, advocate in advocate_of.items():
        # A friend buys as the day after the first signature begins; whoever had brought the advocate by then gets a share.
        day = since[friend].replace(hour=0, minute=0, second=0) + datetime.timedelta(days=1)
        above = advocate
        for percent in GENERATIONS:
            if above not in advocate_of or day < since[above]:
                break
            units += ADVOCATE * percent // 100
            above = advocate_of[above]

    def depth(who):
        steps = 0
        while who in advocate_of:
            who, steps = advocate_of[who], steps + 1
        return steps

    expected = {
        "members": len({who for _, *pair in rows for who in pair}),
        "vouchings": len(rows),
        "attributed": len(advocate_of),
        "circles": circles,
        "later": len(rows) - len(first),
        "depth": max(map(depth, advocate_of), default=0),
    }
    with open(sys.argv[2]) as file:
        summary = json.load(file)
    found = {name: summary["record"][name] for name in expected}
    wrong = found != expected
    print("the record:", expected if not wrong else f"{found}, should be {expected}")
    for number, run in enumerate(summary["runs"], 1):
        points = run["totals"]["units"]["points"]
        good = points["outstanding"] == units and run["astray"] == 0
        good = good and run["verification"]["verified"] == run["verification"]["members"]
        wrong = wrong or not good
        print(f"run {number}: {points['outstanding']} points, should be {units}; {run['restarts']} restarts,",
              f"{run['replayed']} answers given before; hash {run['hash']}")
    same = len({run["hash"] for run in summary["runs"]}) == 1
    print("as it must be" if same and not wrong else "NOT AS IT MUST BE")
    sys.exit(0 if same and not wrong else 1)


main()
