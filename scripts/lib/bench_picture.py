"""A plot of a workload: what a message costs each system, process by process, and its p99."""

WIDTH, LEFT, RIGHT, TOP, ROW, BAR = 900, 150, 210, 56, 34, 18
COLOURS = ("#2965cc", "#d9822b", "#0f9960", "#8f398f")


def parts(figures, key):
    found = [(k.split(" ", 1)[1], v) for k, v in figures.items() if k.startswith(key + " ")]
    return found or [("", figures[key])]


def write_bars(workload, rows, path):
    rows = {n: r["median"] for n, r in rows.items() if "median" in r}
    if not rows:
        return
    key = "server_us" if "server_us" in next(iter(rows.values())) else "connect_us"
    most = max(r[key] for r in rows.values()) or 1
    height = TOP + ROW * len(rows) + 20
    what = "CPU µs a delivered message, by process" if key == "server_us" else "CPU µs a connect, by process"
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="20" y="24" font-size="16">{workload.words}</text>',
           f'<text x="20" y="43" fill="#555">{what}</text>']
    for i, (name, r) in enumerate(rows.items()):
        y = TOP + ROW * i
        weight = ' font-weight="bold"' if name == "beeline" else ""
        out.append(f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end"{weight}>{name}</text>')
        x = LEFT
        for k, (process, value) in enumerate(parts(r, key)):
            w = (WIDTH - LEFT - RIGHT) * value / most
            out.append(f'<rect x="{x:.1f}" y="{y}" width="{max(w, 0.5):.1f}" height="{BAR}" fill="{COLOURS[k % 4]}">'
                       f'<title>{process} {value:.3f} µs</title></rect>')
            x += w
        more = f", p99 {r['p99_us'] / 1000:.3g} ms" if "p99_us" in r else f", {r['connects_per_second']:,.0f}/s"
        out.append(f'<text x="{x + 6:.1f}" y="{y + 14}">{r[key]:.3g} µs{more}</text>')
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join([*out, "</svg>\n"]))
