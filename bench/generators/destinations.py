#!/usr/bin/env python3
"""Writes src/policy/data/destinations.csv: E.164 prefix -> country, number type.

What it reads: the numbering plans of libphonenumber (Apache-2.0), from a wheel of the PyPI package `phonenumbers`,
which is a port of it and carries the same metadata as Python modules. Nothing has to be installed:

    pip download --no-deps --dest /tmp phonenumbers==9.0.43
    python3 bench/generators/destinations.py --wheel /tmp/phonenumbers-9.0.43-py2.py3-none-any.whl
    python3 bench/generators/destinations.py --wheel ... --check      # exit 1 unless the checked-in table is what it would write

The same wheel always gives the same bytes: the date in the header changes only when a row does.

How: libphonenumber describes each country by one regular expression per number type. All the expressions of one country
code (of all 25 countries, for +1) become one automaton over national digits, in which every complete number has exactly one
label (country, type), found in libphonenumber's own order: country by leading digits, else the first whose plan knows the
number; premium before toll-free before shared cost and so on. Walking the automaton from its start, a prefix whose
continuations are all valid and all bear one label becomes a row; else its ten children are looked at.

Promises, for a number that the metadata deems valid: the longest matching prefix bears its country and its type, except
where a number is the beginning of a longer one of another type (+39 32 is a mobile with 9 or 10 digits and a voice mailbox
with 11 or 12): a prefix does not know how many digits follow. The descent ends where a number may end, and the row bears the
label that holds for most lengths, each length weighed by the share of its numbers; in a tie the dearer type (TYPES, in this
order). The header counts these rows; bench/tests/destinations.rs measures what they cost, against another port of libphonenumber.

A number of an assigned country code that is in no known range matches the row of the code alone, or of the part of it that
belongs to one country only (1204 is Canada): country known, type `unknown`. A code that the metadata does not know has no row.

Pseudo-countries: `satellite` and `global` (PSEUDO below). Leaves to others: risk (risk.csv, our own judgement), continents.
"""

import argparse
import datetime
import sys
from collections import namedtuple
from pathlib import Path

try:
    from re import _constants as regex_constants
    from re import _parser as regex_parser
except ImportError:  # before Python 3.11
    import sre_constants as regex_constants
    import sre_parse as regex_parser

TABLE = Path(__file__).resolve().parents[2] / "src" / "policy" / "data" / "destinations.csv"
DIGITS = "0123456789"

# Our type names, dearest first: the order settles ties between labels that only the number's length would tell apart.
TYPES = [
    "premium",
    "shared-cost",
    "personal",
    "uan",
    "voip",
    "mobile",
    "fixed-or-mobile",
    "fixed",
    "pager",
    "toll-free",
    "voicemail",
    "unknown",
]
# libphonenumber's order of asking; the fixed and mobile plans come after these and may both match.
SPECIAL_PLANS = {
    "premium_rate": "premium",
    "toll_free": "toll-free",
    "shared_cost": "shared-cost",
    "voip": "voip",
    "personal_number": "personal",
    "pager": "pager",
    "uan": "uan",
    "voicemail": "voicemail",
}
PLANS = ["general_desc", *SPECIAL_PLANS, "fixed_line", "mobile"]

# Codes that belong to no country (region "001" in the metadata).
# 870 is Inmarsat, 881 the Global Mobile Satellite System (Iridium, Globalstar and two that never or no longer operate).
# 882 and 883 are shared by networks of every kind, told apart by the next digits; of those, the ones known to us as
# satellite systems: 882 13 Telespazio's EMSAT, 882 16 Thuraya, 882 20 ACeS Garuda. Doubts: 882 13 and 882 20 are out of
# service, and stay here because a call to them can only be satellite traffic or fraud; networks on ships and aircraft
# (882 32, 882 98, 882 99) reach the ground by satellite but are GSM networks, so they are `global`. No satellite network is
# known to us under 883. Types are the metadata's, even where it calls Thuraya `voip`. Inmarsat's old codes, 871 to 874, are
# not in the metadata and so have no row. Terminals with numbers of an ordinary country cannot be told from that country's.
PSEUDO = {800: "global", 808: "global", 870: "satellite", 878: "global", 881: "satellite",
          882: "global", 883: "global", 888: "global", 979: "global"}
PSEUDO_PARTS = {882: {"13": "satellite", "16": "satellite", "20": "satellite"}}

Label = namedtuple("Label", "country type")
MIXED, DEAD = "mixed", "dead"


class Automaton:
    """All plans of one country code, read digit by digit. A state is a set of places in the expressions."""

    def __init__(self, countries):
        self.countries = countries  # [(country, metadata)], the main country first
        self.empty = []  # per place: places reached without a digit
        self.moves = []  # per place: (digits, next place) or None
        self.ends = {}  # place: (index of country, plan)
        self.lengths = {}  # (index of country, plan): lengths in which the plan has numbers
        self.next_cache = {}
        root = self.place()
        for index, (_, metadata) in enumerate(countries):
            if metadata.leading_digits:
                end = self.end_of(metadata.leading_digits, root, (index, "leading_digits"))
                self.moves[end] = (set(DIGITS), end)
            for plan in PLANS:
                desc = getattr(metadata, plan)
                if desc is None or not desc.national_number_pattern:
                    continue
                lengths = desc.possible_length or metadata.general_desc.possible_length
                if -1 in lengths:  # libphonenumber's mark of "no such numbers here"
                    continue
                self.lengths[index, plan] = frozenset(lengths)
                self.end_of(desc.national_number_pattern, root, (index, plan))
        self.length_max = max(max(lengths) for lengths in self.lengths.values())
        self.start = self.closure([root])

    def place(self):
        self.empty.append([])
        self.moves.append(None)
        return len(self.empty) - 1

    def end_of(self, pattern, root, what):
        start, end = self.place(), self.place()
        self.empty[root].append(start)
        self.empty[self.add(regex_parser.parse(pattern), start)].append(end)
        self.ends[end] = what
        return end

    def add(self, tree, here):
        """Appends a parsed expression at `here`; answers the place where it ends."""
        for operator, argument in tree:
            if operator is regex_constants.SUBPATTERN:
                here = self.add(argument[3], here)
            elif operator is regex_constants.BRANCH:
                end = self.place()
                for branch in argument[1]:
                    start = self.place()
                    self.empty[here].append(start)
                    self.empty[self.add(branch, start)].append(end)
                here = end
            elif operator is regex_constants.MAX_REPEAT:
                least, most, repeated = argument
                end = self.place()
                for _ in range(least):
                    here = self.add(repeated, here)
                for _ in range(int(most) - least):
                    self.empty[here].append(end)
                    here = self.add(repeated, here)
                self.empty[here].append(end)
                here = end
            else:
                start, end = self.place(), self.place()
                self.empty[here].append(start)
                self.moves[start] = (digits_of(operator, argument), end)
                here = end
        return here

    def closure(self, places):
        seen, todo = set(places), list(places)
        while todo:
            for place in self.empty[todo.pop()]:
                if place not in seen:
                    seen.add(place)
                    todo.append(place)
        return frozenset(place for place in seen if self.moves[place] or place in self.ends)

    def next(self, state, digit):
        key = (state, digit)
        if key not in self.next_cache:
            moves = (self.moves[place] for place in state)
            self.next_cache[key] = self.closure([move[1] for move in moves if move and digit in move[0]])
        return self.next_cache[key]

    def label(self, state, length):
        """The label of the number that ends here, or None: libphonenumber's getRegionCodeForNumber and getNumberType."""
        matches = {self.ends[place] for place in state if place in self.ends}
        for index, (country, metadata) in enumerate(self.countries):
            number_type = self.type_in(index, metadata, matches, length)
            # Leading digits decide alone, but are not asked where a code has only one country.
            if metadata.leading_digits and len(self.countries) > 1:
                if (index, "leading_digits") in matches:
                    return Label(country, number_type) if number_type else None
            elif number_type:
                return Label(country, number_type)
        return None

    def type_in(self, index, metadata, matches, length):
        def known(plan):
            return (index, plan) in matches and length in self.lengths[index, plan]

        if not known("general_desc"):
            return None
        for plan, number_type in SPECIAL_PLANS.items():
            if known(plan):
                return number_type
        if known("fixed_line"):
            either = metadata.same_mobile_and_fixed_line_pattern or known("mobile")
            return "fixed-or-mobile" if either else "fixed"
        return "mobile" if known("mobile") else None


def digits_of(operator, argument):
    if operator is regex_constants.LITERAL:
        return {chr(argument)} & set(DIGITS)
    if operator is not regex_constants.IN:
        raise ValueError(f"an expression has {operator}, which no numbering plan had so far")
    digits = set()
    for kind, value in argument:
        if kind is regex_constants.LITERAL:
            digits.add(chr(value))
        elif kind is regex_constants.RANGE:
            digits.update(chr(code) for code in range(value[0], value[1] + 1))
        elif (kind, value) == (regex_constants.CATEGORY, regex_constants.CATEGORY_DIGIT):
            digits.update(DIGITS)
        else:
            raise ValueError(f"a class has {kind} {value}, which no numbering plan had so far")
    return digits & set(DIGITS)


class Table:
    """The rows of one country code."""

    def __init__(self, code, automaton):
        self.code = code
        self.automaton = automaton
        self.shares_cache = {}
        self.resolved_cache = {}
        self.rows = {}
        self.length_dependent = 0  # rows under which the number's length would tell types apart
        main = automaton.countries[0][0]
        self.rows[str(code)] = Label(main, "unknown")
        self.emit(str(code), automaton.start, 0, main)

    def shares(self, state, depth):
        """{label: {length: share of the numbers of that length under this prefix}}."""
        key = (state, depth)
        if key not in self.shares_cache:
            shares = {}
            own = self.automaton.label(state, depth) if depth else None
            if own:
                shares[own] = {depth: 1.0}
            if depth < self.automaton.length_max and state:
                for digit in DIGITS:
                    for label, by_length in self.shares(self.automaton.next(state, digit), depth + 1).items():
                        mine = shares.setdefault(label, {})
                        for length, share in by_length.items():
                            mine[length] = mine.get(length, 0.0) + share / 10
            self.shares_cache[key] = shares
        return self.shares_cache[key]

    def resolved(self, state, depth):
        """The one label of this prefix, or MIXED (its children differ, or some are not in use), or DEAD (no number)."""
        key = (state, depth)
        if key not in self.resolved_cache:
            self.resolved_cache[key] = self.resolve(state, depth)
        return self.resolved_cache[key]

    def resolve(self, state, depth):
        shares = self.shares(state, depth)
        if not shares:
            return DEAD
        if depth and self.automaton.label(state, depth):
            return min(shares, key=lambda label: (-round(sum(shares[label].values()), 9), TYPES.index(label.type), label))
        children = {self.resolved(self.automaton.next(state, digit), depth + 1) for digit in DIGITS}
        return children.pop() if len(children) == 1 else MIXED

    def emit(self, prefix, state, depth, country):
        """`country` is what a number gets from the rows above this one."""
        label = self.resolved(state, depth)
        if label == DEAD:
            return
        if label != MIXED and depth:
            self.rows[prefix] = label
            self.length_dependent += len(self.shares(state, depth)) > 1
            return
        countries = {label.country for label in self.shares(state, depth)}
        if countries != {country} and len(countries) == 1:
            (country,) = countries
            self.rows[prefix] = Label(country, "unknown")
        for digit in DIGITS:
            self.emit(prefix + digit, self.automaton.next(state, digit), depth + 1, country)


def pseudo_rows(code, metadata):
    country, parts = PSEUDO[code], PSEUDO_PARTS.get(code, {})
    table = Table(code, Automaton([(country, metadata)]))
    types = {label.type for label in table.shares(table.automaton.start, 0)}
    if len(types) == 1:  # the whole code is one service: what lies outside today's ranges of it is that service too
        return {str(code): Label(country, types.pop())}, 0
    rows = dict(table.rows)
    for part, part_country in parts.items():
        whole = f"{code}{part}"
        for prefix, label in table.rows.items():
            if prefix.startswith(whole):
                rows[prefix] = Label(part_country, label.type)
            elif whole.startswith(prefix) and prefix != str(code):
                raise ValueError(f"row {prefix} is wider than {whole}, which has a country of its own")
        rows.setdefault(whole, Label(part_country, "unknown"))
    return rows, table.length_dependent


def all_rows():
    from phonenumbers.data import _COUNTRY_CODE_TO_REGION_CODE
    from phonenumbers.phonemetadata import PhoneMetadata

    rows, length_dependent = {}, 0
    for code, regions in sorted(_COUNTRY_CODE_TO_REGION_CODE.items()):
        plans = [(region, PhoneMetadata.metadata_for_region_or_calling_code(code, region)) for region in regions]
        if regions == ("001",):
            code_rows, mixed = pseudo_rows(code, plans[0][1])
        else:
            table = Table(code, Automaton(plans))
            code_rows, mixed = table.rows, table.length_dependent
        rows.update(code_rows)
        length_dependent += mixed
    return [f"{prefix},{label.country},{label.type}" for prefix, label in sorted(rows.items())], length_dependent


def header(version, wheel, date, rows, length_dependent):
    return [
        f"# libphonenumber metadata {version}, written {date}, {len(rows)} prefixes, by:",
        f"# python3 bench/generators/destinations.py --wheel {wheel}",
        "# Derived from libphonenumber, Copyright (C) The Libphonenumber Authors, licensed under the Apache License,",
        "# Version 2.0, http://www.apache.org/licenses/LICENSE-2.0; changed: expressions expanded to prefixes.",
        f"# Types: {' '.join(TYPES)}.",
        "# Countries: ISO 3166 alpha-2, and libphonenumber's AC, TA, XK; pseudo-countries: satellite, global.",
        f"# {length_dependent} rows cover numbers of another type, which differ in length only: the generator says how it chose.",
        "# The longest matching prefix decides. Do not edit: a bundle's destinations.csv overrides rows.",
        "prefix,country,type",
    ]


def date_of(lines):
    """The date of a table written before, for keeping it when no row changes."""
    return lines[0].split("written ")[1].split(",")[0] if lines and "written " in lines[0] else ""


def main():
    arguments = argparse.ArgumentParser(description="Writes the destination table from libphonenumber's metadata.")
    arguments.add_argument("--wheel", required=True, type=Path, help="phonenumbers-VERSION-py2.py3-none-any.whl")
    arguments.add_argument("--check", action="store_true", help="write nothing; exit 1 unless the table is up to date")
    options = arguments.parse_args()
    if not options.wheel.exists():
        sys.exit(f"{options.wheel}: no such wheel; `pip download --no-deps phonenumbers` gets one")
    sys.path.insert(0, str(options.wheel))
    import phonenumbers

    rows, length_dependent = all_rows()
    before = TABLE.read_text(encoding="ascii").splitlines() if TABLE.exists() else []

    def make(date):
        return header(phonenumbers.__version__, options.wheel.name, date, rows, length_dependent) + rows

    lines = make(date_of(before))
    if options.check:
        if lines != before:
            sys.exit(f"{TABLE}: not what {options.wheel.name} gives; run this program without --check")
        print(f"{TABLE}: up to date, {len(rows)} prefixes")
        return
    if lines != before:
        lines = make(datetime.datetime.now(datetime.timezone.utc).date().isoformat())
        TABLE.write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")
    print(f"{TABLE}: {len(rows)} prefixes, {TABLE.stat().st_size} octets")


if __name__ == "__main__":
    main()
