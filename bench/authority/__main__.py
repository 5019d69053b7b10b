"""Measure what authority costs and how soon a revocation holds, and print the tables.

Promise: one command, one run, one result file; the page is made from the file and from nothing else. What is
compared takes turns within the run.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.command import Command
from bench.machine import noted_machine

from . import opening
from .clock import summary
from .page import page
from .partner import Partner
from .plan import FULL, QUICK, SEED, Plan


def main() -> None:
    """Read the command line, measure, write the result file and the page, print the page."""
    command = Command("python -m bench.authority", __doc__, "authority.json", "bench-authority.md", page)
    command.run(lambda given: _measured(QUICK if given.quick else FULL))


def _measured(plan: Plan) -> dict[str, object]:
    where = noted_machine()
    folder = Path(tempfile.mkdtemp(prefix="ringfence-bench-"))
    try:
        sets, foreign = _sizes(plan, folder)
        stores, openings = _stores(plan, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "machine": where,
        "settings": {"seed": SEED, **asdict(plan)},
        "sets": sets,
        "foreign": foreign,
        "revocation": stores,
        "opening": openings,
    }


def _sizes(plan: Plan, folder: Path) -> tuple[list[dict[str, object]], dict[str, object]]:
    with ExitStack() as stack:
        partners = []
        for labels, rules in plan.sizes:
            layers = [str(each) for each in plan.layers if each < rules] if rules == plan.sizes[-1][1] else []
            command = [
                "bench.authority.size",
                str(labels),
                str(rules),
                str(folder / f"size-{labels}-{rules}"),
            ]
            partners.append(
                stack.enter_context(Partner([*command, *(["--layers", *layers] if layers else [])]))
            )
        built = [_noted(partner.ask("build")) for partner in partners]
        found = [_gathered() for _ in partners]
        for _ in range(plan.rounds):
            for question, given in (
                ("sets", {"people": plan.people}),
                ("decisions", {"people": plan.people}),
                ("changes", {"count": plan.changes}),
            ):
                for partner, lists in zip(partners, found, strict=True):
                    _gather(lists, question, partner.ask(question, **given))
        rules = partners[-1].ask("lay")["rules"]
        laid = _gathered()
        for _ in range(plan.rounds):
            _gather(laid, "foreign", partners[-1].ask("foreign", people=plan.people))
        stock = [partner.ask("stock", labels=plan.stock_labels) for partner in partners]
    rows = [_size_row(*each) for each in zip(built, found, stock, strict=True)]
    return rows, _foreign_rows(rules, laid)


def _size_row(
    built: Mapping[str, Any], found: Mapping[str, list[Any]], stock: Mapping[str, Any]
) -> dict[str, object]:
    label_s = summary(stock["cpu"], 1, 50)["p50"]
    changes = {name.partition(".")[2]: times for name, times in found.items() if name.startswith("changes.")}
    return {
        **built,
        "cold_cpu_ms": summary(found["sets.cpu"], 1e3, 50, 95),
        "cold_wall_ms": summary(found["sets.wall"], 1e3, 50, 95),
        "warm_us": summary(found["sets.warm"], 1e6, 50, 95),
        "readable": summary(found["sets.readable"], 1, 5, 50, 95),
        "groups": summary(found["sets.groups"], 1, 5, 50, 95),
        "decided_first_us": summary(found["decisions.first"], 1e6, 50, 95),
        "decided_kept_us": summary(found["decisions.kept"], 1e6, 50, 95),
        "disagreed": sum(found["decisions.disagreed"]) + stock["disagreed"],
        "changed_us": {
            kind: summary(times, 1e6, 50, 95) for kind, times in changes.items() if not _is_set(kind)
        },
        "set_after_change_ms": {
            kind.removeprefix("set after "): summary(times, 1e3, 50, 95)
            for kind, times in changes.items()
            if _is_set(kind)
        },
        "stock": {
            "labels_asked": len(stock["cpu"]),
            "built_s": stock["built_s"],
            "label_ms": label_s * 1e3,
            "all_labels_s_extrapolated": label_s * built["labels"],
        },
    }


def _is_set(kind: str) -> bool:
    return kind.startswith("set after ")


def _foreign_rows(rules: list[int], laid: Mapping[str, list[Any]]) -> dict[str, object]:
    by_policy: list[list[float]] = [[] for _ in rules]
    for number, times in enumerate(laid["foreign.cpu"]):
        by_policy[number % len(rules)] += times
    return {
        "rows": [
            {"rules": count, "cold_cpu_ms": summary(times, 1e3, 50, 95)}
            for count, times in zip(rules, by_policy, strict=True)
        ],
        "readable": summary(laid["foreign.readable"], 1, 5, 50, 95),
        "concerning": summary(laid["foreign.concerning"], 1, 5, 50, 95),
    }


def _stores(plan: Plan, folder: Path) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    with ExitStack() as stack:
        partners = [
            stack.enter_context(
                Partner(["bench.authority.revocation", str(folder / f"store-{rules}"), str(rules)])
            )
            for rules in plan.stores
        ]
        made = [_noted(partner.ask("made")) for partner in partners]
        found = [_gathered() for _ in partners]
        for _ in range(plan.rounds):
            for partner, lists, rules in zip(partners, found, plan.stores, strict=True):
                count = plan.revocations if not rules else plan.revocations_large
                _gather(lists, "grants", partner.ask("grants", count=plan.grants))
                _gather(lists, "revocations", partner.ask("revocations", count=count))
                _gather(lists, "watched", partner.ask("watched", count=count))
    opened = [_gathered() for _ in plan.stores]
    for _ in range(plan.openings):
        for lists, rules in zip(opened, plan.stores, strict=True):
            _gather(lists, "open", {k: [v] for k, v in opening.open_apart(folder / f"store-{rules}").items()})
    rows = [_store_row(*each) for each in zip(made, found, strict=True)]
    return rows, [_opening_row(*each) for each in zip(made, opened, strict=True)]


def _store_row(made: Mapping[str, Any], found: Mapping[str, list[Any]]) -> dict[str, object]:
    return {
        **made,
        "grant_us": summary(found["grants.grant"], 1e6, 50, 95),
        "change_ms": summary(found["revocations.change"], 1e3, 50, 99),
        "visible_ms": summary(found["revocations.visible"], 1e3, 50, 99),
        "visible_cpu_ms": summary(found["revocations.visible_cpu"], 1e3, 50, 99),
        "visible_elsewhere_ms": summary(found["watched.visible"], 1e3, 50, 99),
    }


def _opening_row(made: Mapping[str, Any], opened: Mapping[str, list[Any]]) -> dict[str, object]:
    times = {
        name: summary(opened[f"open.{name}"], 1, 50) for name in ("seconds", "cpu_s", "open_s", "moment_s")
    }
    return {
        "rules": made["rules"],
        "journal_rows": made["journal_rows"],
        **times,
        "first_grant_s": summary(opened["open.first_grant_s"], 1, 50),
        "peak_bytes": max(opened["open.peak_bytes"]),
    }


def _gathered() -> dict[str, list[Any]]:
    return defaultdict(list)


def _gather(lists: dict[str, list[Any]], question: str, answer: Mapping[str, Any]) -> None:
    """Append what an answer holds to the lists of its question."""
    for name, values in answer.items():
        lists[f"{question}.{name}"] += values if isinstance(values, Iterable) else [values]


def _noted(built: dict[str, Any]) -> dict[str, Any]:
    """Say on standard error that something large was made: the run takes minutes."""
    print(
        ", ".join(f"{name} {built[name]}" for name in ("labels", "rules") if name in built), file=sys.stderr
    )
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in built.items()}


if __name__ == "__main__":
    main()
