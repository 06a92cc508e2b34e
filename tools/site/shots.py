#!/usr/bin/env python3
"""Compares how the site looks with how it looked: shots.py CHROMIUM FOLDER. Pictures of the sample page (sample.md), at two
widths, light and dark, against those in tools/site/shots. Small, since fonts differ a little from system to system; what
is found are columns that are somewhere else, and styles that are gone. SUBPY_UPDATE_SHOTS=1 writes them anew: look at them then."""

import base64
import json
import os
import sys
import tempfile
from pathlib import Path

import browser

SHOTS = Path(__file__).resolve().parent / "shots"
SCHEMES = {"light": (), "dark": ("--blink-settings=preferredColorScheme=0",)}
# The browser without a window makes none that are narrower than 500 pixels.
SIZES = ((500, 1500), (1280, 1200))
# One pixel of a kept picture for so many, in both directions.
SMALLER = 8
# How far the greens of one and the other may be apart, of 255, in the middle. Another font is at 1 to 3; a table that is gone, or
# columns that are below each other, at 4; a missing style sheet at 8 to 200.
APART = 3.5

SCRIPT = """
const pairs = %s, smaller = %d;
async function greens(address, by) {
  const image = new Image();
  await new Promise((done) => { image.onload = done; image.src = address; });
  const canvas = document.createElement("canvas");
  canvas.width = image.width / by;
  canvas.height = image.height / by;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  return { canvas, values: Array.from(pixels).filter((_, i) => i %% 4 == 1) };
}
async function look() {
  const found = [];
  for (const [now, before] of pairs) {
    const one = await greens(now, smaller), other = before && await greens(before, 1);
    let apart = null;
    if (other && other.values.length == one.values.length)
      apart = one.values.reduce((sum, value, i) => sum + Math.abs(value - other.values[i]), 0) / one.values.length;
    found.push([one.canvas.toDataURL(), apart]);
  }
  return found;
}
"""


def main():
    chromium, site = sys.argv[1], Path(sys.argv[2]).resolve()
    updates = os.environ.get("SUBPY_UPDATE_SHOTS") == "1"
    names, pairs = [], []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for scheme, arguments in SCHEMES.items():
            for width, height in SIZES:
                name = f"{width}-{scheme}.png"
                page = (site / "sample.html").as_uri()
                browser.run(chromium, *arguments, "--hide-scrollbars", f"--window-size={width},{height}", f"--screenshot={folder / name}", page)
                files = [folder / name, SHOTS / name]
                pairs.append([uri(file) if file.exists() else None for file in files])
                names.append(name)
                if pairs[-1][0] is None:
                    sys.exit(f"{chromium} has made no picture of {page}")
        found = browser.ask(chromium, folder, SCRIPT % (json.dumps(pairs), SMALLER))
    wrong = 0
    for name, (picture, apart) in zip(names, found):
        if updates:
            SHOTS.mkdir(exist_ok=True)
            (SHOTS / name).write_bytes(base64.b64decode(picture.partition(",")[2]))
        elif apart is None or apart > APART:
            wrong += 1
            how = "is of another size, or missing" if apart is None else f"is {apart:.1f} of 255 apart, more than {APART}"
            print(f"tools/site/shots/{name} {how}: if the page is meant to look so, SUBPY_UPDATE_SHOTS=1 make check-docs writes it", file=sys.stderr)
    print(f"{len(names)} pictures " + ("written" if updates else "as they were, at most " + f"{max(apart or 0 for _, apart in found):.1f} of 255 apart"))
    sys.exit(1 if wrong else 0)


def uri(file):
    return "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode()


if __name__ == "__main__":
    main()
