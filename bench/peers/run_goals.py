# SPDX-License-Identifier: MIT
"""Whether untorn reaches the goals of a case (run_matrix.py).

Against a peer it is a ratio over interleaved pairs; against a figure, the measured figure over that
one.  Met when the better end of the median's 95 % interval reaches the goal, over 15 pairs or more.
"""

import run_figures as figures
from report import GOAL_PAIRS, paired_ratio, ratio_goal


def _measured(goal, case, results):
    """(ratio, low, high, pairs) or None."""
    function = getattr(figures, goal.figure)
    cells = results.of(case, goal.peer)
    if goal.opponent:
        return figures.ratio(function, cells, results.of(case, goal.opponent))
    found = [value for value in figures.values(function, cells) if value]
    if not found:
        return None
    return (*paired_ratio(found, [goal.scale] * len(found)), len(found))


def _why_not(goal, case, results):
    for peer in (goal.peer, goal.opponent):
        if peer and not results.of(case, peer):
            return " (%s was not measured)" % peer
    return " (no call of %s ended)" % (goal.opponent or goal.peer)


def _beside(goal, case, results):
    """What stands in the text, since it is the more usual yardstick and no goal."""
    if not goal.beside:
        return ""
    function = getattr(figures, goal.figure)
    found = figures.ratio(function, results.of(case, goal.peer), results.of(case, goal.beside))
    if not found:
        return ""
    return "; of memcpy's in place: %.3f [%.3f, %.3f]" % found[:3]


def _judged(goal, case, results):
    found = _measured(goal, case, results)
    text = goal.text + (", " + case.load if case.load else "") + _beside(goal, case, results)
    said = {"text": text, "ratio": None, "low": None, "high": None, "pairs": None, "met": None}
    if found is None:
        return {**said, "text": text + _why_not(goal, case, results)}
    ratio, low, high, pairs = found
    few = " (too few pairs: %d of %d)" % (pairs, GOAL_PAIRS) if pairs < GOAL_PAIRS else ""
    bound = {"at_least" if goal.at_least else "at_most": goal.bound}
    met = ratio_goal((ratio, low, high), pairs, **bound)
    said.update(text=text + few, ratio=ratio, low=low, high=high, pairs=pairs, met=met)
    return said


def goals(case, results):
    """Those whose peers were asked for."""
    there = set(results.names)
    wanted = [
        goal for goal in case.goals if goal.peer in there and (goal.opponent or goal.peer) in there
    ]
    return [_judged(goal, case, results) for goal in wanted]
