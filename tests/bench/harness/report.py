"""Samples become one table, or JSON."""
import os
import platform
import statistics
import subprocess

from .scenarios import GIGABYTE, RATIO

HEAD = ("scenario", "program", "cost", "unit", "gateway is (min–median–max) ×", "per s", "p50 µs", "p99 µs", "p99.9 µs", "errors", "MiB",
        "start s", "goal, or why there is no figure")


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
        "openssl": first_line("openssl", "version"),
        "kernel": platform.release(),
        "cpu": f"{os.cpu_count()} × {model}",
        "rounds": options.rounds, "seconds": options.seconds,
        "load_average": round(load, 2), "quiet": load < 0.5,
    }


def by_round(samples, scenario, label):
    return {one.round: one.figure for one in samples if one.scenario == scenario and one.program == label and not one.refused}


def ratios(samples, scenario, others, mine="sallyport"):
    """The gateway's figure by that of the best of `others`, round by round."""
    own = by_round(samples, scenario, mine)
    theirs = [by_round(samples, scenario, label) for label in others]
    out = []
    for number, figure in sorted(own.items()):
        costs = [costs[number] for costs in theirs if number in costs]
        if len(costs) == len(theirs) and costs:
            out.append(figure / min(costs))
    return out


def spread(values):
    return "–".join(f"{value:.2f}" for value in (min(values), statistics.median(values), max(values))) if values else ""


def verdict(scenario, samples, programs):
    """Met or not, by the median of the rounds; empty where there is no goal or nothing to compare."""
    goal = scenario.goal
    own = by_round(samples, scenario.name, "sallyport")
    if not own:
        return ""
    if goal.absolute:
        got, limit, of = statistics.median(own.values()), goal.absolute, ""
    elif goal.of:
        other = by_round(samples, goal.of, "sallyport")
        pairs = [own[number] / other[number] for number in own if number in other]
        if not pairs:
            return ""
        got, limit, of = statistics.median(pairs), goal.times, f" × {goal.of}"
    elif goal.times:
        peers = [one for one in programs if one.label != "sallyport" and scenario.name not in one.kind.LACKS]
        newest = any(one.kind.NAME == "haproxy" and int(one.version.split(".")[0]) >= 3 for one in peers)
        limit, of = goal.times, " × best"
        if goal.times_packaged and not newest:
            peers = [one for one in peers if one.kind.NAME == "haproxy"]
            limit, of = goal.times_packaged, " × haproxy"
        found = ratios(samples, scenario.name, [one.label for one in peers])
        if not found:
            return ""
        got = statistics.median(found)
    else:
        return ""
    return f"{'met' if got <= limit else 'NOT met'}: {got:.2f} of {limit:g}{of}"


def number(value, unit=""):
    if unit in (GIGABYTE, RATIO):
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 1000 else f"{value:,.0f}"


def rows(scenarios, programs, samples):
    for scenario in scenarios:
        for program in programs:
            mine = [one for one in samples if one.scenario == scenario.name and one.program == program.label]
            good = [one for one in mine if not one.refused]
            if scenario.name in program.kind.LACKS:
                yield scenario.name, program.label, "—", "cannot", *[""] * 9
                continue
            if len(good) < len(mine) or not good:
                reason = next((one.refused for one in mine if one.refused), "not measured")
                yield scenario.name, program.label, "—", "refused", *[""] * 8, reason
                continue
            middle = {name: statistics.median(getattr(one, name) for one in good)
                      for name in ("figure", "per_second", "p50", "p99", "p999", "memory", "start")}
            own = program.label == "sallyport"
            yield (scenario.name, program.label, number(middle["figure"], scenario.unit), scenario.unit,
                   "" if own else spread(ratios(samples, scenario.name, [program.label])), f"{middle['per_second']:,.0f}",
                   *(f"{middle[name]:,.0f}" if middle[name] else "" for name in ("p50", "p99", "p999")),
                   str(sum(one.errors for one in good)), f"{middle['memory'] / 1048576:.1f}", f"{middle['start']:.2f}",
                   verdict(scenario, samples, programs) if own else "")


def table(scenarios, programs, samples):
    """Markdown that also reads well as it is."""
    # The last column is not padded: why a figure was refused is a sentence, which would make all others as wide.
    lines = [HEAD, *rows(scenarios, programs, samples)]
    widths = [*(max(len(line[i]) for line in lines) for i in range(len(HEAD) - 1)), 0]
    out = []
    for place, line in enumerate(lines):
        out.append("| " + " | ".join(text.ljust(width) for text, width in zip(line, widths)) + " |")
        if place == 0:
            out.append("|" + "|".join("-" * (width + 2) for width in widths[:-1]) + "|---|")
    return "\n".join(out)
