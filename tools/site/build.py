#!/usr/bin/env python3
"""Makes the site from the repository's pages: build.py FOLDER. Needs markdown-it-py and Pygments (tools/wheels/site.txt).

The pages stay as GitHub shows them. Here their links lead to pages of the site, or to copies of the repository's files.
Whatever is wrong (a link that leads nowhere, a page that no menu has, HTML in a page) is said, and the exit status is 1.
"""

import html
import json
import posixpath
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
from pygments.util import ClassNotFound

import header

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
IMAGES = (".svg", ".png")
SAMPLE = "sample.md"

problems = []


def problem(text):
    problems.append(text)


def repository_files():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}


def read_nav():
    """[(section, [(page or page#heading, name)])]"""
    nav = []
    for line in (HERE / "nav.txt").read_text().splitlines():
        if line.startswith("  "):
            page, name = line.strip().split(None, 1)
            nav[-1][1].append((page, name))
        elif line and not line.startswith("#"):
            nav.append((line, []))
    return nav


def place(page):
    """Where in the site a page or a file of the repository is."""
    if page == "README.md":
        return "index.html"
    if page in ("SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        return page.lower().replace(".md", ".html").replace("security", "reporting")
    if page.startswith("docs/") and page.endswith(".md"):
        return page.removeprefix("docs/").replace(".md", ".html")
    if page.endswith(".md"):
        return page.replace(".md", ".html")
    if page.endswith(IMAGES):
        return "images/" + posixpath.basename(page)
    return "source/" + (page + "index.html" if page.endswith("/") else page + ".html")


def slug(text, taken):
    """The anchor that GitHub gives a heading."""
    text = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
    number, one = 0, text
    while one in taken:
        number += 1
        one = f"{text}-{number}"
    taken.add(one)
    return one


def colored(code, lexer):
    return highlight(code, lexer, HtmlFormatter(nowrap=True)) if lexer else html.escape(code)


def lexer_named(name):
    names = {"text": None, "": None, "js": "javascript", "sh": "bash"}
    name = names.get(name, name)
    return get_lexer_by_name(name) if name else None


class Site:
    def __init__(self, out):
        self.out = out
        self.nav = read_nav()
        self.files = repository_files()
        self.folders = {str(parent) for name in self.files for parent in Path(name).parents}
        self.texts = {}  # page: Markdown
        self.titles = {}  # page: its name in the menu
        self.names = {}  # a name of the header: where it is described
        self.wanted = []  # files of the repository that pages link to, in the order in which they are met
        self.index = []  # of the search: [title of the page, heading, address, text]
        self.anchors = {}  # address: the ids in it
        self.links = []  # (page, address, anchor)
        self.markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])
        for rule in ("fence", "code_block"):
            self.markdown.add_render_rule(rule, lambda _, tokens, i, options, env: self.fence(tokens[i], env))

    def add_reference(self):
        top, sections = header.parse((ROOT / "include/subpy.h").read_text())
        for what in header.undocumented(sections):
            problem(f"include/subpy.h: {what} is not documented")
        self.texts["api/index.md"] = header.overview_page(top, sections)
        pages = []
        for section in sections:
            page = f"api/{section.slug}.md"
            self.texts[page] = header.section_page(section)
            pages.append((page, section.title))
            for item in section.items:
                anchor = item.name if item.kind == "constant" else item.name.lower()
                self.names[item.name] = f"{place(page)}#{anchor}"
        for _, entries in self.nav:
            at = [page for page, _ in entries].index("api/index.md") + 1 if ("api/index.md", "The header") in entries else None
            if at is not None:
                entries[at:at] = pages

    def resolve(self, page, target):
        """Where a link of a page leads, as seen from that page in the site."""
        if re.match(r"https?://|mailto:", target):
            return target
        path, _, anchor = target.partition("#")
        goal = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
        goal = "" if goal == "." else goal
        if goal not in self.texts:
            if goal in self.folders and goal + "/README.md" in self.files:
                goal += "/README.md"
            if goal not in self.files and goal not in self.folders:
                problem(f"{page}: {target} leads nowhere")
                return target
            goal += "/" if goal in self.folders else ""
            if goal not in self.wanted:
                self.wanted.append(goal)
        address = place(goal)
        self.links.append((page, address, anchor))
        there = posixpath.relpath(address, posixpath.dirname(place(page)) or ".")
        return there + ("#" + anchor if anchor else "")

    def name_link(self, page, name):
        if name not in self.names:
            return None
        address, _, anchor = self.names[name].partition("#")
        self.links.append((page, address, anchor))
        return posixpath.relpath(self.names[name], posixpath.dirname(place(page)) or ".")

    def fence(self, token, env):
        name = token.info.strip()
        try:
            code = colored(token.content, lexer_named(name))
        except ClassNotFound:
            problem(f"{env['page']}: no language {name}")
            code = html.escape(token.content)
        source = token.meta.get("from")
        caption = f'<a class="from" href="{self.resolve(env["page"], env["up"] + source)}">{source}</a>' if source else ""
        return f'<div class="code">{caption}<pre tabindex="0"><code>{code}</code></pre></div>\n'

    def inline(self, page, token):
        """Links to pages of the site; names of the header lead to its reference."""
        depth, done = 0, []
        for i, child in enumerate(token.children):
            if child.type == "link_open":
                depth += 1
                target = child.attrGet("href")
                child.attrSet("href", self.resolve(page, target))
                # A page that is called by its file's name is called by its own here.
                name = self.titles.get(posixpath.normpath(posixpath.join(posixpath.dirname(page), target.partition("#")[0])))
                if name and token.children[i + 1].content.endswith(".md"):
                    token.children[i + 1].content = name
            elif child.type == "link_close":
                depth -= 1
            elif child.type == "image":
                child.attrSet("src", self.resolve(page, child.attrGet("src")))
            elif child.type == "code_inline" and depth == 0:
                there = self.name_link(page, child.content.removesuffix("()"))
                if there and there != "#":
                    code = f'<a class="name" href="{there}"><code>{html.escape(child.content)}</code></a>'
                    child = Token("html_inline", "", 0, content=code)
            elif child.type == "html_inline" and not re.fullmatch(r'<a id="\w+">|</a>', child.content):
                problem(f"{page}: HTML in the page: {child.content}")
            done.append(child)
        token.children = done

    def page(self, page):
        """The body of a page, its title and its headings; adds it to the index."""
        up = "../" * page.count("/")
        tokens = self.markdown.parse(self.texts[page])
        taken, headings, title, source = set(), [], page, None
        section = None
        for i, token in enumerate(tokens):
            if token.type == "html_block":
                if found := re.fullmatch(r"<!-- from: (\S+) -->", token.content.strip()):
                    source = found[1]
                elif not re.fullmatch(r"<!--.*?-->", token.content.strip(), re.S):
                    problem(f"{page}: HTML in the page: {token.content.strip()}")
                token.content = ""
            elif token.type in ("fence", "code_block"):
                token.meta = {"from": source}
                token.content = textwrap.dedent(token.content)
                source = None
                if section:
                    section[3].append(token.content)
            elif token.type == "heading_open":
                text = "".join(child.content for child in tokens[i + 1].children)
                level, anchor = int(token.tag[1]), slug(text, taken)
                token.attrSet("id", anchor)
                if level == 1:
                    title = text
                else:
                    headings.append((level, text, anchor))
                section = [title, "" if level == 1 else text, place(page) + ("" if level == 1 else "#" + anchor), []]
                self.index.append(section)
            elif token.type == "inline":
                taken.update(re.findall(r'<a id="(\w+)">', token.content))
                if section and tokens[i - 1].type != "heading_open":
                    section[3].append("".join(child.content if child.type != "softbreak" else " " for child in token.children if child.type != "html_inline"))
                in_heading = tokens[i - 1].type == "heading_open"
                if not in_heading:
                    self.inline(page, token)
        self.anchors[place(page)] = taken
        body = self.markdown.renderer.render(tokens, self.markdown.options, {"page": page, "up": up})
        body = body.replace("<table>", '<div class="table" tabindex="0"><table>').replace("</table>", "</table></div>")
        return body, title, headings

    def source(self, name):
        """A page with a file of the repository, or with what is in a folder."""
        title = name
        if name in self.files:
            try:
                lexer = get_lexer_for_filename(name)
            except ClassNotFound:
                lexer = None
            text = (ROOT / name).read_text(errors="replace")
            self.anchors[place(name)] = set()
            return f'<h1 class="path">{title}</h1>\n<div class="code"><pre tabindex="0"><code>{colored(text, lexer)}</code></pre></div>', title, []
        inside = sorted({one.removeprefix(name).split("/")[0] for one in self.files if one.startswith(name)})
        rows = "".join(f'<li><a href="{self.resolve(name, one)}">{one}</a></li>\n' for one in inside)
        return f'<h1 class="path">{title}</h1>\n<ul>\n{rows}</ul>', title, []

    def menu(self, page):
        parts = []
        for section, entries in self.nav:
            rows = []
            for entry, name in entries:
                here = ' aria-current="page"' if entry == page else ""
                deep = ' class="deep"' if "#" in entry or entry.startswith("api/") and entry != "api/index.md" else ""
                if entry.startswith("api/") and deep and not page.startswith("api/"):
                    continue
                entry, mark, anchor = entry.partition("#")
                there = posixpath.relpath(place(entry), posixpath.dirname(place(page)) or ".") + mark + anchor
                rows.append(f'<li{deep}><a href="{there}"{here}>{html.escape(name)}</a></li>')
            parts.append(f"<h2>{section}</h2>\n<ul>\n" + "\n".join(rows) + "\n</ul>")
        return "\n".join(parts)

    def write(self, page, body, title, headings, template):
        address = place(page)
        root = posixpath.relpath(".", posixpath.dirname(address) or ".")
        inside = [(text, anchor, level) for level, text, anchor in headings if level in (2, 3)]
        contents = ""
        if len(inside) > 1:
            rows = "\n".join(f'<li class="level{level}"><a href="#{anchor}">{html.escape(text)}</a></li>' for text, anchor, level in inside)
            contents = f'<nav class="contents" aria-label="On this page"><h2>On this page</h2><ul>\n{rows}\n</ul></nav>'
        parts = {"title": html.escape(title), "root": root, "kind": "api" if page.startswith("api/") else "page", "menu": self.menu(page), "contents": contents, "body": body}
        file = self.out / address
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template))

    def build(self):
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        self.add_reference()
        self.titles = {page: name for _, pages in self.nav for page, name in pages if "#" not in page}
        entries = list(self.titles)
        for section in self.nav:
            self.links += [("tools/site/nav.txt", place(page), anchor) for page, _, anchor in (one.partition("#") for one, _ in section[1])]
        for page in entries:
            if page not in self.texts:
                self.texts[page] = (ROOT / page).read_text()
        for name in sorted(self.files):
            if name.startswith("docs/") and name.endswith(".md") and name not in self.texts:
                problem(f"{name} is not in tools/site/nav.txt")
        template = (HERE / "page.html").read_text()
        for page in entries:
            self.write(page, *self.page(page), template)
        for name in self.wanted:  # grows meanwhile: folders lead to files, pages to pages
            if name.endswith(IMAGES):
                file = self.out / place(name)
                file.parent.mkdir(exist_ok=True)
                shutil.copy(ROOT / name, file)
                self.anchors[place(name)] = set()
            elif name.endswith(".md"):
                self.texts[name] = (ROOT / name).read_text()
                self.write(name, *self.page(name), template)
            else:
                self.write(name, *self.source(name), template)
        search = '<h1>Search</h1>\n<form class="large"><input type="search" name="q" aria-label="Search" autofocus></form>\n<div id="found"></div>'
        self.write("search.md", search, "Search", [], template)
        # Not in the menu, nor found: tools/site/shots.py compares pictures of it. So its own menu does not grow.
        self.texts[SAMPLE] = (HERE / SAMPLE).read_text()
        index, nav = list(self.index), self.nav
        sample = self.page(SAMPLE)
        self.index, self.nav = index, nav[:1]
        self.write(SAMPLE, *sample, template)
        self.nav = nav
        for page, address, anchor in self.links:
            if anchor and anchor not in self.anchors.get(address, ()):
                problem(f"{page}: {address} has no #{anchor}")
        rows = [[title, heading, address, re.sub(r"\s+", " ", " ".join(text))] for title, heading, address, text in self.index]
        self.out.joinpath("search-index.js").write_text("searchIndex = " + json.dumps(rows, ensure_ascii=False, separators=(",", ":")).replace("],[", "],\n[") + ";\n")
        for name in ("style.css", "search.js"):
            shutil.copy(HERE / name, self.out)


def main():
    site = Site(Path(sys.argv[1]))
    site.build()
    for text in sorted(set(problems)):
        print(text, file=sys.stderr)
    print(f"{len(list(site.out.rglob('*.html')))} pages in {site.out}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
