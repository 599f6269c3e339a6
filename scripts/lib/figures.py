"""Figures with their limits, as text: what was measured, and within what it has to be."""
import sys


def bound(figure):
    least = "" if figure["least"] is None else f"at least {figure['least']:g}"
    most = "" if figure["most"] is None else f"at most {figure['most']:g}"
    if least and figure["least"] == figure["most"]:
        return f"exactly {figure['most']:g}"
    return ", ".join(x for x in (least, most) if x)


def number(value):
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"


def show(figures):
    rows = [(f["name"], number(f["value"]) + (" " + f["unit"] if f["unit"] else ""), bound(f),
             "" if f["kept"] else "BROKEN") for f in figures]
    widths = [max([len(r[i]) for r in rows], default=0) for i in range(3)]
    for name, value, limit, broken in rows:
        print(f"  {name.ljust(widths[0])}  {value.rjust(widths[1])}  {limit.ljust(widths[2])}  {broken}".rstrip())
    sys.stdout.flush()
