"""Runs a program on a terminal of its own, types, and says what is on the screen.

usage: terminal.py COLUMNS STEPS PROGRAM ARGUMENT...

STEPS is JSON: a list of [TEXT, KEYS]. When TEXT has been printed since the step before, KEYS are typed. Prints JSON: "printed", all
that came; "screen", the lines that are seen when the program has ended; "code", or "signal".
"""

import codecs
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from fcntl import ioctl

LIMIT = 120


class Screen:
    """What a terminal of so many columns, and as many rows as are needed, makes of it."""

    def __init__(self, columns):
        self.columns, self.rows, self.row, self.column = columns, [[]], 0, 0

    def line(self):
        while len(self.rows) <= self.row:
            self.rows.append([])
        return self.rows[self.row]

    def put(self, letter):
        if self.column >= self.columns:
            self.row, self.column = self.row + 1, 0
        line = self.line()
        line.extend(" " * (self.column + 1 - len(line)))
        line[self.column] = letter
        self.column += 1

    def control(self, parameters, what):
        number = int(parameters) if parameters.isdigit() else 0
        if what == "K" and number == 2:
            self.line().clear()
        elif what == "K" and number == 0:
            del self.line()[self.column :]
        elif what == "J" and number == 0:
            del self.line()[self.column :], self.rows[self.row + 1 :]
        elif what == "A":
            self.row = max(0, self.row - max(1, number))
        elif what == "B":
            self.row += max(1, number)
        elif what == "C":
            self.column = min(self.columns - 1, self.column + max(1, number))
        elif what == "D":
            self.column = max(0, self.column - max(1, number))
        elif what == "G":
            self.column = max(1, number) - 1
        elif what not in "mhl":
            raise SystemExit(f"this terminal does not know ESC [ {parameters} {what}")

    def write(self, text):
        for parameters, what, letter in re.findall(r"\x1b\[([0-9;?]*)([A-Za-z])|(.)", text, re.DOTALL):
            if what:
                self.control(parameters, what)
            elif letter == "\r":
                self.column = 0
            elif letter == "\n":
                self.row += 1
                self.line()
            elif letter == "\x1b":
                raise SystemExit(f"this terminal does not know {text!r}")
            elif letter >= " ":
                self.put(letter)

    def lines(self):
        lines = ["".join(row).rstrip() for row in self.rows]
        while lines and not lines[-1]:
            lines.pop()
        return lines


def main():
    columns, steps, *command = sys.argv[1:]
    columns, steps = int(columns), json.loads(steps)
    process, terminal = pty.fork()
    if process == 0:
        ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.execv(command[0], command)
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    printed, seen, until = "", 0, time.monotonic() + LIMIT
    while True:
        while steps and (at := printed.find(steps[0][0], seen)) >= 0:
            seen = at + len(steps[0][0])
            os.write(terminal, steps.pop(0)[1].encode())
        ready, _, _ = select.select([terminal], [], [], max(0, until - time.monotonic()))
        if not ready:
            os.kill(process, signal.SIGKILL)
            raise SystemExit(f"it has not ended in {LIMIT} seconds; {steps} are left after {printed!r}")
        try:
            data = os.read(terminal, 65536)
        except OSError:
            # Linux: nobody has the other end any more.
            data = b""
        if not data:
            break
        printed += decode(data)
    _, status = os.waitpid(process, 0)
    code = os.waitstatus_to_exitcode(status)
    screen = Screen(columns)
    screen.write(printed)
    end = {"code": code} if code >= 0 else {"signal": -code}
    print(json.dumps({"printed": printed, "screen": screen.lines(), "left": steps, **end}))


main()
