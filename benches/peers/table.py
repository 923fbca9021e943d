"""Statistics, and the Markdown table of a report."""

import math
import statistics

COLUMNS = [
    "model", "system", "setup", "witness", "prove", "verify", "proof", "key or circuit", "peak memory: setup", "peak memory: prove",
    "max error", "mean error", "prove ÷ first row",
]
ALIGN = ["---", "---"] + ["--:"] * 11
WORDS = {"refused": "refused", "too large": "too large", "memory": "out of memory", "timeout": "too slow", "error": "error"}
BEGIN, END = "<!-- peers: begin -->", "<!-- peers: end -->"


def seconds(value):
    """Three digits, of two decimals at most for what takes longer than a second."""
    if value < 0.0995:
        return f"{value:.3f} s"
    if value < 9.95:
        return f"{value:.2f} s"
    return f"{value:.1f} s" if value < 99.5 else f"{value:.0f} s"


def amount(count):
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            scaled = count / factor
            return f"{scaled:.1f} {unit}" if scaled < 99.5 else f"{scaled:.0f} {unit}"
    return f"{count} B"


def share(value):
    """A share as percentage of two digits."""
    if value == 0:
        return "0"
    percent = 100 * value
    return f"{percent:.{min(9, max(2, 1 - math.floor(math.log10(percent))))}f} %"


def ratio(value):
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}"


def errors(outputs, reference, output_range):
    """Largest and mean distance of proven outputs from float ones, as shares of the range."""
    if len(outputs) != len(reference):
        raise ValueError(f"{len(outputs)} outputs, {len(reference)} expected")
    distances = [abs(mine - its) / output_range for mine, its in zip(outputs, reference)]
    return max(distances), statistics.fmean(distances)


def median(runs, step, key="seconds"):
    values = [run[step][key] for run in runs if step in run]
    return statistics.median(values) if values else None


def spread(runs, step):
    """The largest distance from the median, as a share of it."""
    values = [run[step]["seconds"] for run in runs if step in run]
    middle = statistics.median(values)
    return max(abs(value - middle) for value in values) / middle


def both(whole, inner):
    return f"{seconds(whole)} ({seconds(inner)})"


def timing(runs, step):
    if median(runs, step) is None:
        return "in prove"
    return both(median(runs, step), median(runs, step, "inner_seconds"))


def row(found, ours):
    """The cells from `setup` on."""
    if found["status"] != "measured":
        return [WORDS[found["status"]]] + [""] * 10
    steps, runs = list(found["steps"].values()), found["runs"]
    against = ""
    if ours is not None and found is not ours:
        whole = median(runs, "prove") / median(ours["runs"], "prove")
        inner = median(runs, "prove", "inner_seconds") / median(ours["runs"], "prove", "inner_seconds")
        against = f"{ratio(whole)} ({ratio(inner)})"
    proof = amount(statistics.median(run["proof_bytes"] for run in runs))
    if "witness_bytes" in runs[0]:
        proof += f" and {amount(statistics.median(run['witness_bytes'] for run in runs))} of witness"
    peak = amount(max(run["prove"]["peak_bytes"] for run in runs))
    if "inner_peak_bytes" in runs[0]["prove"]:
        peak += f" ({amount(max(run['prove']['inner_peak_bytes'] for run in runs))})"
    return [
        both(sum(step["seconds"] for step in steps), sum(step["inner_seconds"] for step in steps)),
        timing(runs, "witness"),
        timing(runs, "prove"),
        timing(runs, "verify"),
        proof,
        amount(found["key_bytes"]),
        amount(max(step["peak_bytes"] for step in steps)),
        peak,
        share(max(run["max_error"] for run in runs)),
        share(statistics.fmean(run["mean_error"] for run in runs)),
        against,
    ]


def line(cells):
    return "| " + " | ".join(cells) + " |"


def notes_of(found):
    return "; ".join([found["message"]] if found["status"] != "measured" else found.get("notes", []))


def markdown(report):
    """The table, with what was measured where, and a numbered note for all that was not."""
    rows, notes, worst = [line(COLUMNS), line(ALIGN)], [], (0.0, None)
    for model in report["models"].values():
        ours = next((found for found in model["systems"].values() if found["ours"] and found["status"] == "measured"), None)
        title = model["title"]
        for found in model["systems"].values():
            cells = row(found, ours)
            if notes_of(found):
                notes.append(f"{len(notes) + 1}. {model['title']}, {found['title']}: {notes_of(found)}")
                cells[0] += f" [{len(notes)}]"
            if found["status"] == "measured":
                worst = max(worst, (spread(found["runs"], "prove"), f"{model['title']}, {found['title']}"), key=lambda w: w[0])
            rows.append(line([title, found["title"], *cells]))
            title = ""
    machine, versions = report["environment"], report["versions"]
    dates = sorted({model["date"][:10] for model in report["models"].values()})
    head = (
        f"{' to '.join(dict.fromkeys((dates[0], dates[-1])))}; {machine['cpu']}, {machine['cores']} cores, "
        f"{amount(machine['memory'])} of memory, {machine['system']}. " + ", ".join(versions.values()) + "."
    )
    runs = report["options"]["runs"]
    how = (
        f"Medians of {runs} interleaved runs, each with another input" if runs > 1 else "One run"
    ) + ": wall time of the whole command and, in brackets, what the tool itself says of it. Every proof was verified."
    if worst[1] and runs > 1:
        how += f" Of proving times, {worst[1]} varied most: up to {100 * worst[0]:.0f} % from its median."
    starts = [f["details"]["mpi_start_seconds"] for m in report["models"].values() for f in m["systems"].values()
              if f["status"] == "measured" and "mpi_start_seconds" in f["details"]]
    if starts:
        how += f" Of each of JSTprove's figures in brackets, about {seconds(statistics.median(starts))} is the start of MPI."
    return "\n".join([head, "", *rows, "", how, *([""] + notes if notes else [])]) + "\n"


def replace(document, table):
    """The document with the table between its two markers."""
    before, found, rest = document.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n\n{table}\n{END}{after}"
