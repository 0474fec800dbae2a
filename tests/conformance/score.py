#!/usr/bin/env python3
"""Sends the torture messages of RFC 4475 and RFC 5118 to a SIP server over UDP and counts the answers.

score.py NAME HOST:PORT [--all-best]

Each message is sent from a socket of its own on 127.0.0.1; the server has to answer to the packet's source port, and
silence is no datagram for 500 ms, twice: on a busy
machine an answer may be late, and a client of SIP sends again. Prints one line per message that did not get its best answer, then a line per corpus:
how many got the best answer of EXPECTED.tsv, and how many one that it accepts. With --all-best the exit code is 1 unless
all did. Standard library only.
"""

import pathlib
import select
import socket
import sys

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
SILENCE_S = 0.5


def answers(target, message):
    """The statuses of what comes back."""
    statuses = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        for _try in range(2):
            client.sendto(message, target)
            while select.select([client], [], [], SILENCE_S)[0]:
                datagram, _source = client.recvfrom(65535)
                statuses.append(datagram[8:11].decode("ascii", "replace"))
            if statuses:
                break
    return statuses


def score(name, target, corpus):
    lines = (DATA / corpus / "EXPECTED.tsv").read_text().splitlines()
    columns = lines[0].split("\t")
    accepted_at = next(i for i, column in enumerate(columns) if column.startswith("accepted"))
    best_at = columns.index("best")
    best = accepted = 0
    for line in lines[1:]:
        cells = line.split("\t")
        got = answers(target, (DATA / corpus / cells[0]).read_bytes())
        shown = ",".join(got) or "-"
        is_best = shown == cells[best_at]
        best += is_best
        accepted += shown in cells[accepted_at].split(",")
        if not is_best:
            print(f"  {name}: {corpus}/{cells[0]}: {shown}, best {cells[best_at]}")
    total = len(lines) - 1
    print(f"{name}: {corpus}: best {best} of {total}, accepted {accepted} of {total}")
    return best == total


def main():
    name, address = sys.argv[1:3]
    host, port = address.rsplit(":", 1)
    corpora = ["rfc4475", "rfc5118", "rfc5118-cl-fixed"]
    all_best = [score(name, (host, int(port)), corpus) for corpus in corpora]
    return 0 if all(all_best) or "--all-best" not in sys.argv else 1


if __name__ == "__main__":
    sys.exit(main())
