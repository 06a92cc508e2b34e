#!/usr/bin/env python3
"""Looks at the site in a browser without a window: browser.py CHROMIUM FOLDER. No page is wider than its window, at 400 and at
1280 pixels, and the search finds what new users ask for. The pages are opened from the disk, without a server."""

import base64
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

WIDTHS = (400, 1280)

# What is asked, and the page that must be among the first three answers.
QUESTIONS = {
    "numpy": "faq.html",
    "how do I use numpy": "faq.html",
    "import fails": "faq.html",
    "stop a script": "faq.html",
    "which python": "faq.html",
    "how many interpreters": "faq.html",
    "is it safe": "faq.html",
    "sandbox": "faq.html",
    "ship": "faq.html",
    "what changed": "faq.html",
    "a script that sleeps": "faq.html",
    "asyncio.run": "faq.html",
    "how do I choose the python": "faq.html",
    "capture stdout": "faq.html",
    "pass a 100 MB buffer": "faq.html",
    "two tenants with conflicting versions": "faq.html",
    "SUBPY_ERROR_TIMEOUT": "faq.html",
    "call my C function from Python": "faq.html",
    "fork in my server": "faq.html",
    "async": "faq.html",
    "subpy_pool_submit": "api/pools.html",
    "SUBPY_ERROR_BUSY": "errors.html",
    "interpreter already running": "messages.html",
    "virtual environment": "packages.html",
    "time limit": "limits.html",
}

SCRIPT = """
const found = [], pages = %s, widths = %s, questions = %s;
function visit(address, width, look) {
  return new Promise((done) => {
    const frame = document.createElement("iframe");
    frame.style = `width: ${width}px; height: 900px; border: 0`;
    frame.onload = async () => { found.push(await look(frame.contentDocument)); frame.remove(); done(); };
    frame.src = address;
    document.body.append(frame);
  });
}
async function answers(page) {
  for (let i = 0; i < 100 && !page.querySelector("#found").childNodes.length; i++) await new Promise((go) => setTimeout(go, 20));
  return [...page.querySelectorAll("#found a")].slice(0, 3).map((link) => link.getAttribute("href"));
}
async function look() {
  for (const width of widths)
    for (const address of pages)
      await visit(address, width, (page) => [address, width, page.documentElement.scrollWidth]);
  for (const question of questions)
    await visit("search.html?q=" + encodeURIComponent(question), 1280, async (page) => [question, await answers(page)]);
  return found;
}
"""

# What look() comes to, so that it cannot be taken for anything else in the page.
TELL = """
look().then((found) => {
  document.body.textContent = "FOUND:" + btoa(unescape(encodeURIComponent(JSON.stringify(found)))) + ":END";
});
"""


def run(chromium, *arguments):
    """What the browser prints."""
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--disable-background-networking"]
        command += [f"--user-data-dir={profile}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=300).stdout


def ask(chromium, folder, script):
    """What the script's look() comes to, in a page that is for the moment in that folder."""
    looker = folder / "look.html"
    looker.write_text(f"<!doctype html><body><script>{script}{TELL}</script>")
    try:
        page = run(chromium, "--window-size=1400,1000", "--virtual-time-budget=600000", "--dump-dom", looker.as_uri())
    finally:
        looker.unlink()
    answer = re.search(r"FOUND:(\S+?):END", page)
    if not answer:
        sys.exit(f"{chromium} has not looked at the pages:\n{page[-500:]}")
    return json.loads(base64.b64decode(answer[1]).decode())


def main():
    chromium, root = sys.argv[1], Path(sys.argv[2]).resolve()
    # The sources of programs are a single element that scrolls.
    pages = [str(path.relative_to(root)) for path in sorted(root.rglob("*.html")) if not path.is_relative_to(root / "source")]
    found = ask(chromium, root, SCRIPT % tuple(map(json.dumps, (pages, WIDTHS, list(QUESTIONS)))))
    wrong = []
    for one in found:
        if len(one) == 3 and one[2] > one[1]:
            wrong.append(f"{one[0]} is {one[2]} pixels wide in a window of {one[1]}")
        if len(one) == 2 and not any(QUESTIONS[one[0]] == there.removeprefix("./").partition("#")[0] for there in one[1]):
            wrong.append(f"the search for {one[0]!r} finds {one[1]}, and not {QUESTIONS[one[0]]}")
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    print(f"{len(pages)} pages at {len(WIDTHS)} widths, {len(QUESTIONS)} searches")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
