"""A run's JSON becomes docs/performance.svg and the table in docs/performance.md."""
import dataclasses
import json
import statistics
import textwrap
from xml.sax.saxutils import escape, quoteattr

from . import report, runner, scenarios

FIRST, LAST = "<!-- table -->", "<!-- /table -->"

GROUPS = (("CPU time", None),
          ("Latency", (scenarios.LATENCY, scenarios.RATIO)),
          ("Memory per idle connection", (scenarios.MEMORY,)))

# Pixels. Text is as wide as the widest of the usual sans-serif fonts makes it.
WIDTH, MARGIN = 960, 24
GOAL, PLOT, VALUES, COSTS = 152, 452, 750, 792  # where columns begin, after the names; peers' names end before the plot
PLOT_WIDTH = 280
BAR, PITCH, LINE, GAP = 10, 16, 14, 12
WRAP = 46  # characters of a description in a line
TOP_MOST = 1.5  # a bar that costs more than this many times the peer is cut off

COLOURS = (("#2a78d6", "#5b9df0"), ("#1b9467", "#3fbd8d"), ("#b3632a", "#dd8f55"), ("#8a56c9", "#b48be8"), ("#a8861d", "#d3b24a"))

STYLE = """
text { font: 12px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #1f2328 }
.title { font-size: 18px; font-weight: 600 } .group { font-size: 14px; font-weight: 600 } .name { font-weight: 600 }
.small { font-size: 11px; fill: #59636e } .end { text-anchor: end } .middle { text-anchor: middle }
.paper { fill: #ffffff } .grid { stroke: #d9dee3 } .one { stroke: #59636e }
.whisker { stroke: #1f2328; stroke-width: 1.2 } .goal { stroke: #d1242f; stroke-width: 2.5 }
.floor { stroke: #1f2328; stroke-width: 2; stroke-dasharray: 3 2 }
.halo { paint-order: stroke; stroke: #ffffff; stroke-width: 4 }
.cut { stroke: #ffffff; stroke-width: 2.5 } .met { fill: #1a7f37 } .unmet { fill: #d1242f }
"""
DARK = """
text { fill: #e6edf3 } .small { fill: #9198a1 } .paper { fill: #0d1117 } .grid { stroke: #2b323b } .one { stroke: #9198a1 }
.whisker { stroke: #e6edf3 } .goal { stroke: #ff6b70 } .floor { stroke: #e6edf3 } .halo, .cut { stroke: #0d1117 } .met { fill: #3fb950 } .unmet { fill: #ff6b70 }
"""


class Unreadable(Exception):
    """Not what `run --json` writes."""


@dataclasses.dataclass
class Results:
    facts: dict
    programs: list
    samples: list
    scenarios: list  # those that were measured, in the table's order

    @property
    def peers(self):
        return [one for one in self.programs if one.kind.PEER]

    @property
    def floors(self):
        return [one for one in self.programs if one.kind.NAME.startswith("floor")]


def load(text):
    try:
        facts = json.loads(text)
        samples = [runner.Sample(**one) for one in facts["samples"]]
        programs = [runner.Program(label, runner.kind_of(label), "", version) for label, version in facts["programs"].items()]
        report.caption(facts)
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from None
    measured = {one.scenario for one in samples}
    if unknown := measured - {one.name for one in scenarios.ALL}:
        raise Unreadable(f"scenarios that do not exist: {', '.join(sorted(unknown))}")
    if unknown := {one.program for one in samples} - {one.label for one in programs}:
        raise Unreadable(f"samples of unknown programs: {', '.join(sorted(unknown))}")
    return Results(facts, programs, samples, [one for one in scenarios.ALL if one.name in measured])


@dataclasses.dataclass
class Bar:
    """The gateway against one peer: ratios of the rounds and where the goal is, or why there are none."""
    peer: str
    ratios: list
    goal: float = 0
    floor: float = 0
    costs: str = ""
    why: str = ""


def bar(results, scenario, program):
    label = program.label

    def of(label):
        return [one for one in results.samples if one.scenario == scenario.name and one.program == label]
    if reason := program.kind.LACKS.get(scenario.name):
        return Bar(label, [], why=f"cannot: {reason}")
    for name in ("sallyport", label):
        if reason := report.no_figure(of(name)):
            return Bar(label, [], why=f"no figure of {name}: {reason}")
    ratios = report.ratios(results.samples, scenario.name, label)
    if not ratios:
        return Bar(label, [], why="no round has both figures")
    own, theirs = (report.by_round(results.samples, scenario.name, name) for name in ("sallyport", label))
    costs = [report.number(statistics.median(one.values()), scenario.unit) for one in (own, theirs)]
    # Where the bar ends when the goal is just met: for the best peer that is the goal itself.
    target = report.target(scenario, results.samples, results.programs)
    places = [target.times * target.against[number] / theirs[number] for number in theirs if number in target.against] if target else []
    # Where it would end for the cheaper of the floors.
    floors = [[figure / theirs[number] for number, figure in report.by_round(results.samples, scenario.name, one.label).items()
               if number in theirs] for one in results.floors]
    return Bar(label, ratios, statistics.median(places) if places else 0,
               min((statistics.median(one) for one in floors if one), default=0), f"{costs[0]} of {costs[1]} {scenario.unit}")


class Canvas:
    """SVG elements, from top to bottom; `y` is where the next goes."""

    def __init__(self):
        self.parts = []
        self.y = 0

    def text(self, x, y, said, classes=""):
        self.parts.append(f'<text x="{x:g}" y="{y:g}" class={quoteattr(classes)}>{escape(said)}</text>')

    def line(self, x1, y1, x2, y2, classes):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:g}" x2="{x2:.1f}" y2="{y2:g}" class="{classes}"/>')

    def box(self, x, y, width, height, classes):
        self.parts.append(f'<rect x="{x:g}" y="{y:g}" width="{width:.1f}" height="{height:g}" rx="1.5" class="{classes}"/>')


class Chart:
    def __init__(self, results):
        self.results = results
        self.bars = {one.name: [bar(results, one, peer) for peer in results.peers] for one in results.scenarios}
        every = [value for bars in self.bars.values() for one in bars for value in (*one.ratios, one.goal, one.floor)]
        self.most = min(TOP_MOST, max(1.2, max(every, default=0) * 1.05))
        self.out = Canvas()

    def x(self, ratio):
        return PLOT + PLOT_WIDTH * min(ratio, self.most) / self.most

    def svg(self):
        self.head()
        for title, units in GROUPS:
            known = [unit for _title, some in GROUPS for unit in some or ()]
            mine = [one for one in self.results.scenarios if (one.unit in units if units else one.unit not in known)]
            if mine:
                self.group(title, mine)
        self.foot()
        height = self.out.y + MARGIN
        colours = "\n".join(f".p{n} {{ fill: {light} }}" for n, (light, _dark) in enumerate(COLOURS))
        dark = "\n".join(f".p{n} {{ fill: {dark} }}" for n, (_light, dark) in enumerate(COLOURS))
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}" role="img" '
            'aria-labelledby="title about">',
            '<title id="title">What sallyport costs beside its peers</title>',
            '<desc id="about">For each scenario and peer, the cost of sallyport as a part of the cost of the peer. The same figures '
            'stand in the table of performance.md.</desc>',
            f"<style>{STYLE}{colours}\n@media (prefers-color-scheme: dark) {{{DARK}{dark}\n}}</style>",
            f'<rect width="{WIDTH}" height="{height:g}" rx="6" class="paper"/>', *self.out.parts, "</svg>", ""])

    def head(self):
        out = self.out
        out.text(MARGIN, 38, "What sallyport costs beside its peers", "title")
        out.text(MARGIN, 58, "Cost of sallyport, with the peer’s as 1: shorter is better. Median of the rounds.", "small")
        x = MARGIN
        for place, peer in enumerate(self.results.peers):
            out.box(x, 75, 12, BAR, self.colour(place))
            out.text(x + 18, 84, f"against {peer.label}")
            x += 18 + 8 * len(f"against {peer.label}") + 16
        out.line(x, 80, x + 24, 80, "whisker")
        out.line(x, 77, x, 83, "whisker")
        out.line(x + 24, 77, x + 24, 83, "whisker")
        out.text(x + 32, 84, "lowest to highest round")
        x += 200
        out.line(x, 73, x, 87, "goal")
        out.text(x + 8, 84, "goal: at most")
        if self.results.floors:
            out.line(x + 114, 73, x + 114, 87, "floor")
            out.text(x + 122, 84, "floor: no proxy at all")
        out.y = 92

    @staticmethod
    def colour(place):
        return f"p{place % len(COLOURS)}"

    def group(self, title, some):
        out = self.out
        out.y += 34
        out.text(MARGIN, out.y, title, "group")
        top = out.y + 8
        marks = [0.25 * n for n in range(int(self.most / 0.25) + 1)]
        for mark in marks:
            out.text(self.x(mark), out.y, f"{mark:g}", "small middle")
        place = len(out.parts)
        out.y = top + GAP / 2
        for one in some:
            self.scenario(one)
        bottom = out.y - GAP / 2
        # Under the bars, but as long as they are many.
        bars, out.parts[place:] = out.parts[place:], []
        for mark in marks:
            out.line(self.x(mark), top, self.x(mark), bottom, "one" if mark == 1 else "grid")
        out.parts += bars

    def scenario(self, one):
        out, bars = self.out, self.bars[one.name]
        words = textwrap.wrap(one.what, WRAP)
        for peer, this in zip(self.results.peers, bars):
            if this.ratios and one.name in peer.kind.NOTES:
                words += textwrap.wrap(f"{peer.label}: {peer.kind.NOTES[one.name]}", WRAP)
        height = max(PITCH * len(bars), LINE * (1 + len(words)))
        out.text(MARGIN, out.y + 11, one.name, "name")
        for n, line in enumerate(words):
            out.text(MARGIN, out.y + 11 + LINE * (n + 1), line, "small")
        y = out.y + (height - PITCH * len(bars)) / 2
        for place, this in enumerate(bars):
            self.bar(this, place, y + PITCH * place + (PITCH - BAR) / 2)
        said = report.verdict(one, self.results.samples, self.results.programs)
        if said:
            kind, _, _detail = said.partition(":")
            out.text(GOAL, out.y + 11, f"goal {kind.lower()}",
                     {"met": "met", "NOT met": "unmet"}.get(kind, "small"))
        out.y += height + GAP

    def bar(self, this, place, y):
        out = self.out
        out.text(PLOT - 8, y + 9, this.peer, "small end")
        if not this.ratios:
            out.text(PLOT + 6, y + 9, textwrap.shorten(this.why, 62, placeholder=" …"), "small halo")
            return
        middle = statistics.median(this.ratios)
        out.box(PLOT, y, max(self.x(middle) - PLOT, 1), BAR, self.colour(place))
        low, high = self.x(min(this.ratios)), self.x(max(this.ratios))
        if min(this.ratios) < self.most:
            out.line(low, y + BAR / 2, high, y + BAR / 2, "whisker")
            out.line(low, y + 2, low, y + BAR - 2, "whisker")
        if middle > self.most:
            for x in (PLOT + PLOT_WIDTH - 14, PLOT + PLOT_WIDTH - 8):
                out.line(x - 2, y + BAR + 1, x + 2, y - 1, "cut")
        if max(this.ratios) <= self.most:
            out.line(high, y + 2, high, y + BAR - 2, "whisker")
        if 0 < this.floor <= self.most:
            out.line(self.x(this.floor), y - 2, self.x(this.floor), y + BAR + 2, "floor")
        if 0 < this.goal <= self.most:
            out.line(self.x(this.goal), y - 2, self.x(this.goal), y + BAR + 2, "goal")
        out.text(VALUES, y + 9, f"{middle:.2f}", "name")
        out.text(COSTS, y + 9, this.costs, "small")

    def foot(self):
        out = self.out
        out.y += 10
        lines = [*report.caption(self.results.facts)]
        if not self.results.facts.get("quiet", True):
            lines.append(report.NOT_QUIET)
        for line in lines:
            for part in textwrap.wrap(line, 130):
                out.y += LINE
                out.text(MARGIN, out.y, part, "small")


def markdown(results):
    """What stands between the marks."""
    lines = ["  \n".join(report.caption(results.facts))]
    if not results.facts.get("quiet", True):
        lines.append(f"**{report.NOT_QUIET}**")
    return "\n\n".join([*lines, report.table(results.scenarios, results.programs, results.samples)])


def replace_table(document, table):
    first, last = document.find(FIRST), document.find(LAST)
    if first < 0 or last < first:
        raise Unreadable(f"there is no {FIRST} with {LAST} after it")
    return f"{document[:first + len(FIRST)]}\n\n{table}\n\n{document[last:]}"


def check_document(path):
    """Before a long run: is there a place for its table?"""
    try:
        with open(path, encoding="utf-8") as f:
            replace_table(f.read(), "")
    except OSError as error:
        raise Unreadable(str(error)) from None


def publish(text, svg, document):
    """Both files from what `run --json` wrote; neither is touched when it cannot be read."""
    results = load(text)
    with open(document, encoding="utf-8") as f:
        changed = replace_table(f.read(), markdown(results))
    drawn = Chart(results).svg()
    with open(document, "w", encoding="utf-8") as f:
        f.write(changed)
    with open(svg, "w", encoding="utf-8") as f:
        f.write(drawn)
