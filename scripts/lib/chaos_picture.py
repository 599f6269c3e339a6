"""The picture of a run of scripts/chaos: answers per 100 ms over time, with the faults."""

WIDTH, PLOT, LEFT, RIGHT, TOP, ROW = 1100, 260, 60, 20, 40, 16
COLOURS = {"links": "#d9822b", "edge": "#c23030", "router": "#8f398f", "clients": "#2965cc"}


def scope(kind):
    if kind.startswith(("link", "dials", "net_black", "net_one")) or kind == "edge_cut_off":
        return "links"
    return "clients" if kind.startswith("client") else "router" if kind.startswith("router") else "edge"


def points(values, x, y):
    return " ".join(f"{x(i + 0.5):.1f},{y(v):.1f}" for i, v in enumerate(values))


def coarser(values, most=1000):
    """At most so many values: averages of neighbours."""
    step = -(-len(values) // most)
    return [sum(values[i:i + step]) / len(values[i:i + step]) for i in range(0, len(values), step)] if step > 1 else values


MEMORY_COLOURS = ("#8f398f", "#2965cc", "#0f9960", "#d9822b", "#c23030", "#5c7080")


def memory_lines(samples, x, top, height):
    """Lines of the servers' memory over time: x takes microseconds."""
    by_name = {}
    for s in samples:
        by_name.setdefault(s["name"], []).append((s["at_us"], s["rss_bytes"] / (1 << 20)))
    most = max((v for line in by_name.values() for _, v in line), default=1) * 1.1
    out = []
    for i, (name, line) in enumerate(sorted(by_name.items())):
        colour = MEMORY_COLOURS[i % len(MEMORY_COLOURS)]
        dots = " ".join(f"{x(at):.1f},{top + height * (1 - v / most):.1f}" for at, v in line)
        out.append(f'<polyline points="{dots}" fill="none" stroke="{colour}"/><text x="{LEFT + 90 * i}" '
                   f'y="{top - 6}" fill="{colour}">{name}</text>')
    for v in (0, most / 2, most):
        y = top + height * (1 - v / most)
        out.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{v:.0f}</text><line x1="{LEFT}" '
                   f'x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ccc"/>')
    return out


def write_memory(samples, path):
    if not samples:
        return
    begin, end = samples[0]["at_us"], max(samples[-1]["at_us"], samples[0]["at_us"] + 1)

    def x(at):
        return LEFT + (WIDTH - LEFT - RIGHT) * (at - begin) / (end - begin)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {TOP + PLOT + 50}" '
           f'font-family="sans-serif" font-size="12"><rect width="{WIDTH}" height="{TOP + PLOT + 50}" fill="white"/>',
           *memory_lines(samples, x, TOP, PLOT),
           f'<text x="{LEFT}" y="{TOP + PLOT + 24}">memory of the servers in MiB, over {(end - begin) / 1e6:.0f} s</text>']
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join([*out, "</svg>\n"]))


def write(report, path):
    s, begin = report["series"], report["load_begin_us"]
    bins_of_100_ms = max(1, len(s["answered"]))
    s = {name: coarser(values) for name, values in s.items()}
    bins = max(1, len(s["answered"]))
    per_bin = bins_of_100_ms / bins
    # What waited comes at once: the peaks after an outage are cut off, so that the rest can be seen.
    highest = max([1.0, *s["answered"], *s["received"], *s["published"]])
    most = max(1, int(min(highest, report["rate"] / 10 * 2.5)))
    below = TOP + PLOT + 40 + ROW * max(1, len(report["faults"])) + 10
    height = below + (PLOT + 50 if report["samples"] else 0)

    def x(i):
        return LEFT + (WIDTH - LEFT - RIGHT) * i / bins

    def y(v):
        return TOP + PLOT * (1 - min(v, most) / most)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
           f'font-size="12">', f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="{LEFT}" y="20" font-size="14">seed {report["seed"]}: messages in each 100 ms</text>']
    for i, (name, colour) in enumerate((("answered with success", "#0f9960"), ("received", "#5c7080"),
                                        ("other answers", "#db3737"))):
        out.append(f'<rect x="{380 + 170 * i}" y="11" width="10" height="10" fill="{colour}"/>'
                   f'<text x="{394 + 170 * i}" y="20">{name}</text>')
    for row, f in enumerate(report["faults"]):
        from_, to = ((f[k] - begin) / 100_000 / per_bin for k in ("begin_us", "end_us"))
        colour, wide = COLOURS[scope(f["kind"])], max(2, x(to) - x(from_))
        at = TOP + PLOT + 40 + ROW * row
        where = "router" if f["edge"] < 0 else f"e{f['edge'] + 1}" + (f"/{f['shard']}" if f["shard"] >= 0 else "")
        text = f'{f["kind"]} {where}: outage {max(f["gap_us"], f["client_gap_max_us"]) / 1000:.0f} ms'
        left = x(from_) + wide + 4
        anchor = ' text-anchor="end"' if left > WIDTH - 260 else ""
        out.append(f'<rect x="{x(from_):.1f}" y="{TOP}" width="{wide:.1f}" height="{PLOT}" fill="{colour}" '
                   f'opacity="0.18"/><rect x="{x(from_):.1f}" y="{at}" width="{wide:.1f}" height="10" '
                   f'fill="{colour}"/><text x="{left if not anchor else x(from_) - 4:.1f}" y="{at + 10}"{anchor}>'
                   f'{text}</text>')
    out.append(f'<polygon points="{x(0)},{y(0)} {points(s["answered"], x, y)} {x(bins)},{y(0)}" fill="#0f9960" '
               f'opacity="0.35"/>')
    out.append(f'<polyline points="{points(s["answered"], x, y)}" fill="none" stroke="#0f9960"/>')
    out.append(f'<polyline points="{points(s["received"], x, y)}" fill="none" stroke="#5c7080"/>')
    out.append(f'<polyline points="{points(s["refused"], x, y)}" fill="none" stroke="#db3737"/>')
    for v in (0, most // 2, most):
        out.append(f'<text x="{LEFT - 6}" y="{y(v) + 4:.1f}" text-anchor="end">{v}</text>'
                   f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(v):.1f}" y2="{y(v):.1f}" stroke="#ccc"/>')
    seconds = bins_of_100_ms // 10
    step = 1 if seconds <= 20 else 5 if seconds <= 100 else 60
    for second in range(0, seconds + 1, step):
        out.append(f'<text x="{x(second * 10 / per_bin):.1f}" y="{TOP + PLOT + 16}" text-anchor="middle">{second} s</text>')
    if report["samples"]:
        out += memory_lines(report["samples"], lambda at: x((at - begin) / 100_000 / per_bin), below + 30, PLOT - 20)
        out.append(f'<text x="{LEFT}" y="{below + 8}">memory of the servers, MiB</text>')
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join([*out, "</svg>\n"]))
