"""Appends numbered events to a journal, and says each number once its event is on the disk.

Started by the tests of the journal, which kill it: ``python writer.py PATH LAST HOLD``.
"""

import sys

from thalweg.searching.journal import Journal


def main(path: str, last: int, hold: bool) -> None:
    """Append events up to a number, and wait at the end where told to."""
    with Journal.open(path, {"space": "s", "seed": 1}) as journal:
        first = len(journal.events)
        print("open", first, flush=True)
        for number in range(first, last):
            journal.append({"event": "finished", "number": number, "filler": "x" * (number % 997)})
            print(number, flush=True)
        if hold:
            sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "hold")
