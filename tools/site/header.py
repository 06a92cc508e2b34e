"""Reads include/subpy.h, and writes its reference as Markdown: a page for each section of the header."""

import re
from dataclasses import dataclass, field

NAME = re.compile(r"\b(subpy_\w+(?:\(\))?|SUBPY_[A-Z0-9_]+\*?)(?![\w*])")


@dataclass
class Item:
    kind: str  # "constant", "type" or "function"
    name: str
    code: str
    comment: str
    members: list = field(default_factory=list)  # of a struct or union: (name, declaration, comment)
    parameters: list = field(default_factory=list)  # names, as they are declared


@dataclass
class Section:
    title: str
    slug: str
    comment: str
    items: list = field(default_factory=list)


def plain(comment):
    """A comment without its stars, its lines as they are."""
    lines = comment.strip().removeprefix("/**").removeprefix("/*").removesuffix("*/").splitlines()
    lines = [re.sub(r"^\s*\* ?", "", line) if i else line.strip() for i, line in enumerate(lines)]
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def parameter_names(code):
    inside = code[code.index("(", code.index(")(") + 1 if ")(" in code else 0) + 1 : code.rindex(")")]
    return [re.search(r"(\w+)$", one.strip()).group(1) for one in inside.split(",") if one.strip() != "void"]


def parse_item(comment, code):
    if code.startswith("#define"):
        name, value = code.split(None, 2)[1:]
        return Item("constant", name, value, comment)
    if re.match(r"typedef (struct|union) \w+ \{", code):
        body = code[code.index("{") + 1 : code.rindex("}")]
        members = []
        for text, declaration in re.findall(r"/\*\*(.*?)\*/\s*([^;]*;)", body, re.S):
            declaration = " ".join(declaration.rstrip(";").split())
            members.append((re.search(r"(\w+)(\[\w+\])?$", declaration).group(1), declaration, plain("/**" + text + "*/")))
        declared = re.sub(r"/\*.*?\*/", "", body, flags=re.S).count(";")
        name = re.search(r"(\w+);$", code).group(1)
        assert len(members) == declared, f"{name}: a member has no comment"
        return Item("type", name, code, comment, members)
    if code.startswith("typedef") and "(*" in code:
        return Item("type", re.search(r"\(\*(\w+)\)", code).group(1), code, comment, [], parameter_names(code))
    if code.startswith("typedef"):
        return Item("type", re.search(r"(\w+);$", code).group(1), code, comment)
    code = re.sub(r"\b(SUBPY_API|SUBPY_NODISCARD) ", "", code)
    return Item("function", re.search(r"(\w+)\(", code).group(1), code, comment, [], parameter_names(code))


def parse(text):
    """The comment at the top, and the sections."""
    top = plain(text[: text.index("*/") + 2])
    parts = re.split(r"^/\* -{20,}\n(.*?)\* -{20,} \*/\n", text, flags=re.S | re.M)
    sections = []
    # The one constant before the first section belongs to it.
    first = re.search(r"^/\*\* A length.*?\n#define [^\n]*\n", text, re.S | re.M).group(0)
    for number, (comment, body) in enumerate(zip(parts[1::2], parts[2::2])):
        title, _, words = plain("/*\n" + comment + "*/").strip().partition("\n")
        section = Section(title, re.sub(r"\W+", "-", title.lower()), words.strip())
        body = (first if number == 0 else "") + body.split("#ifdef __cplusplus")[0]
        item = r"^(?P<comment>/\*\*.*?\*/)\n(?P<code>#define [^\n]*|typedef (?:struct|union) \w+ \{.*?^\} \w+;|[^/#][^;]*;)"
        rest = body
        for found in re.finditer(item, body, re.S | re.M):
            section.items.append(parse_item(plain(found["comment"]), found["code"].strip()))
            rest = rest.replace(found[0], "", 1)
        assert not rest.strip(), f"{title}: this has no comment: {rest.strip()[:200]}"
        sections.append(section)
    return top, sections


def split_comment(comment):
    """What a comment says: its text, its parameters, what is returned, and what stands after that."""
    text, parameters, returns, after, now = [], [], [], [], None
    for line in comment.split("\n"):
        if found := re.match(r"@param (\w+)\s+(.*)", line):
            now = [found[1], found[2]]
            parameters.append(now)
        elif line.startswith("@return"):
            now = returns
            returns.append(line.removeprefix("@return").strip())
        elif now is None:
            text.append(line)
        elif not line.strip():
            now = after
            after.append("")
        elif now is returns or now is after:
            now.append(line)
        else:
            now[1] += " " + line.strip()
    return "\n".join(text).strip(), parameters, returns, "\n".join(after).strip()


def undocumented(sections):
    """Parameters of which neither the comment nor that of the section says a word."""
    for section in sections:
        for item in section.items:
            if not item.comment:
                yield item.name
            for name in item.parameters:
                if not re.search(rf"\b{name}\b", item.comment + "\n" + section.comment):
                    yield f"{item.name}(): {name}"
            for name, _ in split_comment(item.comment)[1]:
                if name not in item.parameters and item.kind == "function":
                    yield f"{item.name}(): there is no parameter {name}"


def words(text):
    """A comment's text as Markdown."""
    parts = re.split(r"(`[^`]*`)", text)
    for i in range(0, len(parts), 2):
        bits = NAME.split(parts[i])
        bits[::2] = [re.sub(r"([\\*_<\[])", r"\\\1", bit) for bit in bits[::2]]
        bits[1::2] = [f"`{bit}`" for bit in bits[1::2]]
        parts[i] = "".join(bits)
    return "".join(parts)


def cell(text):
    return words(" ".join(text.split())).replace("|", "\\|")


def code_cell(code):
    return "`" + code.replace("|", "\\|") + "`"


def returned(lines):
    """The text of @return, and a table of the errors in it."""
    text, rows = [], []
    for line in lines:
        if found := re.match(r"\s+(SUBPY_ERROR_\w+)\s{2,}(.*)", line):
            rows.append([found[1], found[2]])
        elif rows and re.match(r"\s{20,}", line):
            rows[-1][1] += " " + line.strip()
        else:
            text.append(line.strip())
    page = ["**Returns** " + words(" ".join(text).rstrip(";")), ""]
    if rows:
        page += ["| error | when |", "|---|---|"] + [f"| `{name}` | {cell(when)} |" for name, when in rows] + [""]
    return page


def item_page(item):
    page = [f"## {item.name}", ""]
    text, parameters, returns, after = split_comment(item.comment)
    if item.members:
        page += [words(text), "", "| member | what |", "|---|---|"]
        page += [f"| {code_cell(declaration)} | {cell(comment)} |" for _, declaration, comment in item.members] + [""]
    else:
        page += ["```c", item.code, "```", "", words(text), ""]
    if parameters:
        page += ["| parameter | what |", "|---|---|"]
        page += [f"| `{name}` | {cell(what)} |" for name, what in parameters] + [""]
    if returns:
        page += returned(returns)
    return page + ([words(after), ""] if after else [])


def section_page(section):
    page = [f"# {section.title}", "", words(section.comment), ""]
    constants = [item for item in section.items if item.kind == "constant"]
    if constants:
        page += ["## Constants", "", "| constant | value | what |", "|---|---|---|"]
        page += [f'| <a id="{c.name}"></a>`{c.name}` | {code_cell(c.code)} | {cell(c.comment)} |' for c in constants] + [""]
    for item in section.items:
        if item.kind != "constant":
            page += item_page(item)
    return "\n".join(page)


def first_sentence(comment):
    text = " ".join(split_comment(comment)[0].split("\n\n")[0].split())
    return re.split(r"(?<=[.;])\s", text, maxsplit=1)[0].rstrip(".;:")


def overview_page(top, sections):
    """The conventions, the example, and everything by section."""
    example = re.search(r"\n((?:  #include|    \n).*?\n  \})\n", "\n" + top, re.S).group(1)
    example = "\n".join(line[2:] for line in example.splitlines())
    page = ["# The header", "", "Everything in [`include/subpy.h`](../include/subpy.h), made from the header itself.", ""]
    page += ["```c", example, "```", "", "## Conventions", ""]
    rows = []
    for line in top[top.index("Conventions\n") :].splitlines()[1:]:
        if found := re.match(r"  (\w+)\s{2,}(.*)", line):
            rows.append([found[1], found[2]])
        elif line.strip():
            rows[-1][1] += " " + line.strip()
    page += ["| | |", "|---|---|"] + [f"| {name} | {cell(text)} |" for name, text in rows] + [""]
    for section in sections:
        page += [f"## {section.title}", "", f"[{section.title}]({section.slug}.md)", "", "| name | what |", "|---|---|"]
        for item in section.items:
            name = item.name + ("()" if item.kind == "function" else "")
            page.append(f"| `{name}` | {cell(first_sentence(item.comment))} |")
        page.append("")
    return "\n".join(page)
