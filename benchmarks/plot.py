"""Named lines of points -> a plot as SVG, in the reader's own colours of text and ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 360, 64, 170, 24, 48
COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#a463f2")
STYLE = "font: 12px system-ui, sans-serif; fill: currentColor; color: #777"


def drawn(title: str, lines: Mapping[str, Sequence[tuple[float, float]]], *, zero: bool = True) -> str:
    """Each line's points from left to right, named at its end; ``zero``: whether the vertical axis begins there."""
    xs = sorted({x for points in lines.values() for x, _ in points})
    ys = [y for points in lines.values() for _, y in points]
    span = max(ys) - min(ys)
    low, high = (0.0, max(ys) * 1.1) if zero else (min(ys) - 0.1 * span, max(ys) + 0.1 * span)
    right, ground = WIDTH - RIGHT, HEIGHT - BOTTOM

    def across(x: float) -> float:
        return LEFT + (right - LEFT) * x / xs[-1]

    def up(y: float) -> float:
        return ground - (ground - TOP) * (y - low) / ((high - low) or 1)

    parts = [
        f'<text x="{LEFT}" y="16">{title}</text>',
        f'<path d="M{LEFT} {TOP}V{ground}H{right}" fill="none" stroke="currentColor"/>',
    ]
    shown = xs if len(xs) <= 6 else [xs[-1] * k / 4 for k in range(1, 5)]
    parts += [f'<text x="{across(x):.0f}" y="{ground + 18}" text-anchor="middle">{x:,.0f}</text>' for x in shown]
    for k in range(5):
        value = low + (high - low) * k / 4
        told = f"{value:,.0f}" if high >= 10 else f"{value:.3f}"
        parts.append(f'<text x="{LEFT - 8}" y="{up(value):.0f}" text-anchor="end">{told}</text>')
    for at, (name, points) in enumerate(lines.items()):
        colour = COLOURS[at % len(COLOURS)]
        placed = [(across(x), up(y)) for x, y in points]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in placed)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in placed]
        end = f'x="{placed[-1][0] + 8:.0f}" y="{placed[-1][1] + 4:.0f}"'
        parts.append(f'<text {end} fill="{colour}">{name}</text>')
    inner = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" style="{STYLE}">\n{inner}\n</svg>\n'
