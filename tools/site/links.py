#!/usr/bin/env python3
"""Looks through the site as it was built: links.py FOLDER. Each address in it leads to a file and an anchor that are there, and
nothing is loaded from elsewhere."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote


class Page(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.ids, self.twice, self.links, self.loaded = set(), [], [], []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if "id" in attributes:
            if attributes["id"] in self.ids:
                self.twice.append(attributes["id"])
            self.ids.add(attributes["id"])
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        elif address := attributes.get("src") or attributes.get("href") or attributes.get("action"):
            self.loaded.append(address)


def main():
    root = Path(sys.argv[1]).resolve()
    pages = {path: Page(path) for path in sorted(root.rglob("*.html"))}
    wrong, count = [], 0
    for path, page in pages.items():
        name = path.relative_to(root)
        wrong += [f"{name}: two things have the id {one}" for one in page.twice]
        for address in page.links + page.loaded:
            count += 1
            if re.match(r"https?://|mailto:|data:", address):
                if address in page.loaded and not address.startswith("data:"):
                    wrong.append(f"{name} loads {address}")
                continue
            file, _, anchor = address.partition("#")
            there = (path.parent / unquote(file)).resolve() if file else path
            if not there.is_file() or not there.is_relative_to(root):
                wrong.append(f"{name}: {address} leads nowhere")
            elif anchor and unquote(anchor) not in pages[there].ids:
                wrong.append(f"{name}: {address}: there is no such anchor")
    for style in root.glob("*.css"):
        if "url(" in style.read_text() or "@import" in style.read_text():
            wrong.append(f"{style.name} loads something")
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    print(f"{len(pages)} pages, {count} links")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
