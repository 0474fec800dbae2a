#!/usr/bin/env python3
"""What tshark reads in the captures: writes tests/data/captures/tshark.tsv, or with --check compares.

tshark is an independent reader of SIP; tests/uas/oracles.rs holds our own reading against this table. The messages are
put into a capture file as UDP datagrams, whatever transport they came over. Standard library only.
"""

import pathlib
import struct
import subprocess
import sys
import tempfile

CAPTURES = pathlib.Path(__file__).resolve().parent.parent / "data" / "captures"
TABLE = CAPTURES / "tshark.tsv"
FIELDS = ["sip.Call-ID", "sip.CSeq", "sip.from.user", "sip.from.tag", "sip.to.tag", "sip.r-uri.user", "sip.Via"]
SEPARATOR = "\x1f"


def capture_file(messages):
    """A pcap of IPv4 packets without a link layer, one datagram each."""
    blocks = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)]
    for message in messages:
        udp = struct.pack(">HHHH", 5060, 5060, 8 + len(message), 0) + message
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\2")
        packet = ip + udp
        blocks.append(struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet)
    return b"".join(blocks)


def reading():
    files = sorted(CAPTURES.glob("*.sip"))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "captures.pcap"
        path.write_bytes(capture_file([file.read_bytes() for file in files]))
        command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=\x1f", "-E", "aggregator=\x1e"]
        for field in FIELDS:
            command += ["-e", field]
        text = subprocess.run(command, check=True, capture_output=True).stdout.decode("utf-8", "replace")
    lines = [line for line in text.split("\n") if line]
    if len(lines) != len(files):
        sys.exit(f"tshark read {len(lines)} of {len(files)} messages")
    rows = ["file\tCall-ID\tCSeq\tFrom user\tFrom tag\tTo tag\tRequest-URI user\tVias"]
    for file, line in zip(files, lines):
        cells = line.split(SEPARATOR)
        vias = len(cells[-1].split("\x1e"))
        rows.append("\t".join([file.name, *(cell or "-" for cell in cells[:-1]), str(vias)]))
    return "\n".join(rows) + "\n"


def main():
    text = reading()
    if "--check" not in sys.argv:
        TABLE.write_text(text)
        return 0
    if text == TABLE.read_text():
        print(f"{TABLE.name}: {len(text.splitlines()) - 1} messages, as recorded")
        return 0
    old = TABLE.read_text().splitlines()
    for line in text.splitlines():
        if line not in old:
            print(f"tshark now reads: {line}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
