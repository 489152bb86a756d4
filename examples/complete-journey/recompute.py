#!/usr/bin/env python3
"""Recomputes, without any code of Guerdon, what a replay of an order history must end with.

    recompute.py --orders data/orders.parquet [--redeem] --json
    recompute.py --orders data/orders.parquet [--redeem] --compare summary.json

The terms are those of examples/programs/grocer.yaml, written out below a second time and on purpose. All numbers are
integers or fractions. The output holds the same `totals` as `guerdon replay --json`; --compare checks them and exits
with 1 when they differ. Parquet needs pyarrow (the environment that `fetch` makes has it), CSV needs nothing.
"""

import argparse
import csv
import json
import sys
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from math import floor
from zoneinfo import ZoneInfo

# examples/programs/grocer.yaml
ZONE = ZoneInfo("America/New_York")
CENTS_PER_POINT = 100
EXCLUDED = {"COUPON/MISC ITEMS"}
WEEKEND_FACTOR = 2
WEEKEND_CATEGORIES = {"SOFT DRINKS", "FLUID MILK PRODUCTS"}
BIG_BASKET_CENTS = 100_00
BIG_BASKET_POINTS = 50
LIFE_MONTHS = 3
STEP_POINTS = 100
STEP_WORTH_CENTS = 100
MINIMUM_POINTS = 200
SHARE_MAX = Fraction(1, 2)

UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rows_of_parquet(path):
    import pyarrow
    import pyarrow.compute
    import pyarrow.parquet

    columns = ["order_id", "member_id", "occurred_at", "line_id", "category", "amount_minor"]
    table = pyarrow.parquet.read_table(path, columns=columns)
    at = table.column("occurred_at").cast(pyarrow.timestamp("ms", tz="UTC")).cast(pyarrow.int64())
    table = table.set_column(2, "occurred_at", at)
    for batch in table.to_batches(max_chunksize=50_000):
        yield from zip(*(column.to_pylist() for column in batch.columns))


def rows_of_csv(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["occurred_at"].replace("Z", "+00:00"))
            at_ms = (at - EPOCH) // timedelta(milliseconds=1)
            category = row.get("category") or None
            yield row["order_id"], row["member_id"], at_ms, row["line_id"], category, int(row["amount_minor"])


def orders_by_member(path):
    """The orders of each member, by instant and then id; and the number of lines."""
    rows = rows_of_csv(path) if path.endswith(".csv") else rows_of_parquet(path)
    orders, line_count = {}, 0
    for order_id, member_id, at_ms, _, category, amount in rows:
        order = orders.get(order_id)
        if order is None:
            order = orders[order_id] = [at_ms, str(order_id), str(member_id), []]
        order[0] = min(order[0], at_ms)
        order[3].append((category, amount))
        line_count += 1
    members = {}
    for order in sorted(orders.values(), key=lambda order: (order[0], order[1])):
        members.setdefault(order[2], []).append(order)
    return members, len(orders), line_count


def local(at_ms):
    return (EPOCH + timedelta(milliseconds=at_ms)).astimezone(ZONE)


def instant_ms(year, month, day):
    """The first instant of a local day. No day of this zone begins in a gap or an overlap."""
    begins = datetime(year, month, day, tzinfo=ZONE).astimezone(UTC)
    return (begins - EPOCH) // timedelta(milliseconds=1)


def expiry_ms(at_ms):
    """Three months on by the local calendar, then forward to the first instant of a month."""
    when = local(at_ms)
    months = when.year * 12 + (when.month - 1) + LIFE_MONTHS
    year, month = divmod(months, 12)
    month += 1
    # The day of the month may be cut (31 to 30), but the month is settled; only its very first instant stays.
    if when.day == 1 and (when.hour, when.minute, when.second, when.microsecond) == (0, 0, 0, 0):
        return instant_ms(year, month, 1)
    year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return instant_ms(year, month, 1)


def earned(at_ms, lines):
    """Points of the order's grants together."""
    earning = [(category, amount) for category, amount in lines if category not in EXCLUDED]
    spend = sum(amount for _, amount in earning)
    points = floor(Fraction(spend, CENTS_PER_POINT))
    if local(at_ms).weekday() >= 5:
        doubled = sum(amount for category, amount in earning if category in WEEKEND_CATEGORIES)
        points += floor((WEEKEND_FACTOR - 1) * Fraction(doubled, CENTS_PER_POINT))
    if spend >= BIG_BASKET_CENTS:
        points += BIG_BASKET_POINTS
    return points


def payable(available, lines):
    """As many points as may be used: whole steps, not above the share, not below the minimum."""
    worth_max = floor(SHARE_MAX * sum(amount for _, amount in lines))
    steps = min(available // STEP_POINTS, worth_max // STEP_WORTH_CENTS)
    points = steps * STEP_POINTS
    return points if points >= MINIMUM_POINTS else 0


def totals(path, redeem):
    members, order_count, line_count = orders_by_member(path)
    last_ms = max(orders[-1][0] for orders in members.values())
    day_ms = 86_400_000
    end_ms = (last_ms // day_ms + 1) * day_ms
    granted = redeemed = expired = available = 0
    for orders in members.values():
        lots = {}  # by expiry: units granted by one member's orders are spendable at once
        for at_ms, _, _, lines in orders:
            for due in [due for due in lots if due <= at_ms]:
                expired += lots.pop(due)
            if redeem:
                left = payable(sum(lots.values()), lines)
                redeemed += left
                for due in sorted(lots):
                    used = min(left, lots[due])
                    lots[due] -= used
                    left -= used
            points = earned(at_ms, lines)
            if points:
                granted += points
                due = expiry_ms(at_ms)
                lots[due] = lots.get(due, 0) + points
        for due, points in lots.items():
            if due <= end_ms:
                expired += points
            else:
                available += points
    points = {
        "granted": granted,
        "redeemed": redeemed,
        "expired": expired,
        "reversed": 0,
        "available": available,
        "pending": 0,
        "held": 0,
        "outstanding": available,
        "debt": 0,
    }
    assert granted == redeemed + expired + available
    return {
        "as_of": (EPOCH + timedelta(milliseconds=end_ms)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "orders": order_count,
        "lines": line_count,
        "members": len(members),
        "referrals": {"attributed": 0, "qualified": 0},
        "units": {"points": points},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", required=True)
    parser.add_argument("--redeem", action="store_true")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="on one line, for programs")
    how.add_argument("--compare", metavar="SUMMARY", help="what `guerdon replay --json` printed")
    arguments = parser.parse_args()
    result = {"totals": totals(arguments.orders, arguments.redeem)}
    if not arguments.compare:
        print(json.dumps(result, indent=None if arguments.json else 2, sort_keys=True))
        return 0
    with open(arguments.compare, encoding="utf-8") as file:
        summary = json.load(file)
    if summary["totals"] == result["totals"]:
        print("the totals agree to the unit")
        return 0
    print("the totals differ")
    print("  replayed:  ", json.dumps(summary["totals"], sort_keys=True))
    print("  recomputed:", json.dumps(result["totals"], sort_keys=True))
    return 1


if __name__ == "__main__":
    sys.exit(main())
