"""How a run stands, read from its folder by another process: what the manifest says of its stages, and what the running
process said of itself a second ago."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charter.core.errors import InputError
from charter.core.heartbeat import alive, last_beat
from charter.core.manifest import Manifest
from charter.core.progress import duration

TOKENS = ("prompt_tokens", "completion_tokens")


def read(folder: Path) -> dict[str, Any]:
    """Plain data: `state` (running, gone, stopped, ended), the `stages` with theirs, and what the process said last.
    Raises InputError where there is no run."""
    manifest = Manifest.read(folder)
    if manifest is None:
        raise InputError("there is no run here (no manifest.json)", where=folder, cure="name the folder of a run")
    beat = last_beat(folder)
    state = beat.get("state", "ended")
    if state == "running" and not alive(beat):
        state = "gone"
    stages: dict[str, dict[str, Any]] = {}
    for name, entry in manifest.stages.items():
        own = entry["state"]
        counts = entry["counts"]
        stages[name] = {
            "state": "interrupted" if own == "running" and state != "running" else own,
            "seconds": entry["seconds"],
            "counts": counts,
            **{key: entry[key] for key in ("error", "reused_from") if key in entry},
        }
    ago = max(0.0, time.time() - beat["updated"]) if "updated" in beat else None
    shard = manifest.data.get("shard")
    return {"run": str(folder), "shard": shard, "state": state, "seconds_ago": ago, "stages": stages, "process": beat}


def lines(found: Mapping[str, Any]) -> list[str]:
    """For people."""
    beat = found["process"]
    shard = f" (shard {found['shard']})" if found["shard"] else ""
    said = [f"{found['run']}{shard}: {_state(found)}"]
    for name, stage in found["stages"].items():
        said.append(f"  {name:<18}{_stage(stage)}")
        if stage["state"] == "running" and beat.get("stage") == name:
            said += [f"    {line}" for line in _work(beat)]
    if spent := beat.get("spent"):
        cost = f", {spent['cost']:,.2f} at the recipe's prices" if spent["cost"] else ""
        said.append(f"spent: {spent['calls']:,} calls, {spent['tokens']:,} tokens{cost}")
    if found["state"] in ("gone", "stopped"):
        said.append("the same `charter run` command goes on where it stopped")
    return said


def _state(found: Mapping[str, Any]) -> str:
    beat = found["process"]
    who = f"process {beat.get('pid')} on {beat.get('host')}"
    ago = "" if found["seconds_ago"] is None else f", {duration(found['seconds_ago'])} ago"
    return {
        "running": f"running ({who})",
        "gone": f"{who} is gone without a word; its last sign of life was{ago.removeprefix(',')}",
        "stopped": f"stopped{ago}",
    }.get(found["state"], "not running")


def _stage(stage: Mapping[str, Any]) -> str:
    if stage["state"] != "done":
        return f"{stage['state']}{': ' + stage['error'].splitlines()[0] if stage.get('error') else ''}"
    counts = stage["counts"]
    parts = [f"{number:,} {name.replace('_', ' ')}" for name, number in list(counts.items())[:1]]
    parts += [f"{counts['calls']:,} calls"] if counts.get("calls") else []
    parts += [f"{tokens:,} tokens"] if (tokens := sum(counts.get(key, 0) for key in TOKENS)) else []
    parts += [f"{counts['failed']:,} FAILED"] if counts.get("failed") else []
    time_ = "reused" if "reused_from" in stage else duration(stage["seconds"])
    return ", ".join(["done", *parts, time_])


def _work(beat: Mapping[str, Any]) -> list[str]:
    """The stage at work."""
    said = []
    if "done" in beat:
        of = "" if beat["total"] is None else f" of {beat['total']:,}"
        rate = "" if beat["rate"] is None else f", {beat['rate']:,.1f} a second"
        eta = "" if beat["eta"] is None else f", {duration(beat['eta'])} to go"
        said.append(f"{beat['done']:,}{of} {beat['what']}{rate}{eta}, for {duration(beat['seconds'])}")
    if beat.get("calls"):
        tokens = sum(beat[key] for key in TOKENS)
        slots = "" if beat["slots"] is None else f" of {beat['slots']:,} that the endpoints are given"
        said.append(f"{beat['calls']:,} calls, {tokens:,} tokens; {beat['in_flight']:,} in flight{slots}")
    if beat.get("retries"):
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in beat["errors"].items())
        said.append(f"{beat['retries']:,} attempts made again ({kinds})")
    if beat.get("failed"):
        said.append(", ".join(f"{n:,} calls {kind.replace('_', ' ')}" for kind, n in beat["failed"].items()))
    return said
