#!/usr/bin/env python3
"""Writes down what score.py printed of Tollgate and Kamailio, with where and how it was made.

record.py SCORES FILE, the version of Kamailio on standard input. `bench/record/README.md` says what a `+` behind the commit means.
Standard library only.
"""

import os
import pathlib
import platform
import re
import subprocess
import sys

CORPUS = re.compile(r"(\w+): (\S+): best (\d+) of (\d+), accepted (\d+) of \d+")
MISSED = re.compile(r"  (\w+): (\S+): (.*), best (.*)")


def git(*words):
    return subprocess.run(["git", *words], capture_output=True, text=True).stdout.strip()


def machine():
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)bench/record")
    commit = git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    load = ", ".join(f"{part:.2f}" for part in os.getloadavg())
    return f"Commit {commit}, Linux {platform.release()}, {model}, cores {os.cpu_count()}. Load average at the end of the run: {load}."


def main():
    scores, target = map(pathlib.Path, sys.argv[1:])
    kamailio = sys.stdin.readline().removeprefix("version: ").strip()
    lines = scores.read_text().splitlines()
    corpora = [match.groups() for match in map(CORPUS.fullmatch, lines) if match]
    missed = [match.groups() for match in map(MISSED.fullmatch, lines) if match]
    if len(corpora) + len(missed) != len(lines) or len(corpora) != 6:
        sys.exit(f"{scores}: not the scores of two servers for three corpora")
    text = [
        "`TOLLGATE_RECORD=bench/record ./tests/long conformance`",
        "",
        machine(),
        "",
        "The torture messages of RFC 4475 and RFC 5118 over UDP, one by one. *Best*: the answer that its table in `tests/data` asks for; *accepted*: another one that",
        "RFC 3261 permits counts, too. `rfc5118-cl-fixed`: the three of RFC 5118 whose Content-Length is wrong, mended. Of Tollgate all best are asked. Kamailio is",
        f"Debian's ({kamailio}) as a redirect server with `tests/conformance/kamailio.cfg`.",
        "",
        "| server | messages | best | accepted |",
        "|---|---|---|---|",
        *(f"| {name} | {corpus} | {best} of {total} | {accepted} of {total} |" for name, corpus, best, total, accepted in corpora),
        "",
        "Not answered best (`-`: silence):",
        "",
        "| server | message | answer | best |",
        "|---|---|---|---|",
        *("| " + " | ".join(cells) + " |" for cells in missed),
    ]
    target.write_text("\n".join(text) + "\n")
    print(f"recorded in {target}")


if __name__ == "__main__":
    main()
