"""Samples become one table, or JSON."""
import dataclasses
import os
import platform
import statistics
import subprocess

from .network import congestion_control
from .scenarios import GIGABYTE, RATIO

HEAD = ("scenario", "program", "cost", "unit", "gateway is (min–median–max) ×", "per s", "p50 µs", "p99 µs", "p99.9 µs", "errors", "MiB",
        "start s", "goal, remark, or why there is no figure")

NOT_QUIET = "The machine was not quiet when this began: its load average was 0.5 or more."


@dataclasses.dataclass
class Target:
    """What a goal is a multiple of: the figure of each round, or why there is none."""
    times: float
    of: str
    against: dict
    missing: str = ""


def about(programs, options):
    """What a table means nothing without."""
    def first_line(*argv):
        try:
            return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.split("\n")[0].strip()
        except OSError:
            return "absent"
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), platform.machine())
    load = os.getloadavg()[0]
    return {
        "programs": {one.label: one.version for one in programs},
        "openssl": first_line("openssl", "version").partition(" (")[0],
        "kernel": platform.release(),
        "cpu": f"{os.cpu_count()} × {model}",
        "congestion_control": congestion_control(),
        "rounds": options.rounds, "seconds": options.seconds,
        "load_average": round(load, 2), "quiet": load < 0.5,
    }


def caption(facts):
    """Two lines: what was measured, and on what."""
    return [" · ".join(f"{name} {version}" for name, version in facts["programs"].items()),
            f"{facts['openssl']} · Linux {facts['kernel']} · TCP {facts['congestion_control']} · {facts['cpu']} · "
            f"{facts['rounds']} rounds of {facts['seconds']} s · "
            f"load average before: {facts['load_average']}"]


def by_round(samples, scenario, label):
    return {one.round: one.figure for one in samples if one.scenario == scenario and one.program == label and not one.refused}


def ratios(samples, scenario, other):
    """The gateway's figure by that of `other`, round by round."""
    own, theirs = by_round(samples, scenario, "sallyport"), by_round(samples, scenario, other)
    return [own[number] / theirs[number] for number in sorted(own) if number in theirs]


def spread(values):
    return "–".join(f"{value:.2f}" for value in (min(values), statistics.median(values), max(values))) if values else ""


def newest_haproxy(peers):
    """Is one of them of HAProxy 3, which is quicker at bulk than the packaged one of Debian 12?"""
    return any(one.kind.NAME == "haproxy" and one.version.split(".")[0].isdigit() and int(one.version.split(".")[0]) >= 3
               for one in peers)


def target(scenario, samples, programs):
    """None where there is no goal."""
    goal = scenario.goal
    if goal.absolute:
        return Target(goal.absolute, "", {one.round: 1.0 for one in samples})
    if goal.of:
        against = by_round(samples, goal.of, "sallyport")
        return Target(goal.times, f" × {goal.of}", against, "" if against else f"no figure of {goal.of}")
    if not goal.times:
        return None
    peers = [one for one in programs if one.kind.PEER and scenario.name not in one.kind.LACKS]
    times, of = goal.times, " × best"
    if goal.times_packaged and not newest_haproxy(peers):
        peers = [one for one in peers if one.kind.NAME == "haproxy"]
        times, of = goal.times_packaged, " × haproxy"
    if not peers:
        return Target(times, of, {}, "nothing to compare with")
    # The best of a round is known only where each of them has a figure.
    costs = [by_round(samples, scenario.name, one.label) for one in peers]
    against = {number: min(cost[number] for cost in costs) for number in set.intersection(*map(set, costs))}
    without = [one.label for one, cost in zip(peers, costs) if not cost]
    return Target(times, of, against, "" if against else f"no figure of {' and '.join(without) or 'all in one round'}")


def verdict(scenario, samples, programs):
    """Met or not, by the median of the rounds; empty where there is no goal."""
    own = by_round(samples, scenario.name, "sallyport")
    goal = target(scenario, samples, programs)
    if not own or not goal:
        return ""
    found = [own[number] / goal.against[number] for number in own if number in goal.against]
    if not found:
        return f"not judged: {goal.missing or 'no round has all figures'}"
    got = statistics.median(found)
    return f"{'met' if got <= goal.times else 'NOT met'}: {got:.2f} of {goal.times:g}{goal.of}"


def number(value, unit=""):
    if unit in (GIGABYTE, RATIO):
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 1000 else f"{value:,.0f}"


def no_figure(samples):
    """Why these of one program and scenario make no figure: one refused is enough. Empty when they do."""
    reason = next((one.refused for one in samples if one.refused), "" if samples else "not measured")
    return " ".join(reason.split())


def rows(scenarios, programs, samples):
    for scenario in scenarios:
        for program in programs:
            mine = [one for one in samples if one.scenario == scenario.name and one.program == program.label]
            if scenario.name in program.kind.LACKS:
                if program.label != "sallyport" and not program.kind.PEER:
                    continue
                yield scenario.name, program.label, "—", "cannot", *[""] * 8, program.kind.LACKS[scenario.name]
                continue
            if reason := no_figure(mine):
                yield scenario.name, program.label, "—", "refused", *[""] * 8, reason
                continue
            middle = {name: statistics.median(getattr(one, name) for one in mine)
                      for name in ("figure", "per_second", "p50", "p99", "p999", "memory", "start")}
            own = program.label == "sallyport"
            yield (scenario.name, program.label, number(middle["figure"], scenario.unit), scenario.unit,
                   "" if own else spread(ratios(samples, scenario.name, program.label)), f"{middle['per_second']:,.0f}",
                   *(f"{middle[name]:,.0f}" if middle[name] else "" for name in ("p50", "p99", "p999")),
                   str(sum(one.errors for one in mine)), f"{middle['memory'] / 1048576:.1f}", f"{middle['start']:.2f}",
                   verdict(scenario, samples, programs) if own else program.kind.NOTES.get(scenario.name, ""))


def table(scenarios, programs, samples):
    """Markdown that also reads well as it is."""
    # The last column is not padded: why a figure was refused is a sentence, which would make all others as wide.
    lines = [HEAD, *(tuple(text.replace("|", "\\|") for text in line) for line in rows(scenarios, programs, samples))]
    widths = [*(max(len(line[i]) for line in lines) for i in range(len(HEAD) - 1)), 0]
    out = []
    for place, line in enumerate(lines):
        out.append("| " + " | ".join(text.ljust(width) for text, width in zip(line, widths)) + " |")
        if place == 0:
            out.append("|" + "|".join("-" * (width + 2) for width in widths[:-1]) + "|---|")
    return "\n".join(out)
