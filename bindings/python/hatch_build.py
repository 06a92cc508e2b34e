"""With SUBPY_PACK_LIBRARY, the path of a libsubpy.so, the wheel has that inside and is for the systems that it runs on."""

import os
import re
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# No system is promised on which nothing was tried: 2.28 is what the library of a release is built against.
OLDEST = 28


def platform_of(path: str) -> str:
    """The tag of the oldest system that has what an ELF library needs."""
    with open(path, "rb") as file:
        code = file.read()
    machine = {62: "x86_64", 183: "aarch64"}.get(int.from_bytes(code[18:20], "little"))
    if code[:4] != b"\x7fELF" or machine is None:
        raise ValueError(f"SUBPY_PACK_LIBRARY names {path}, which is no library for x86-64 or arm64 Linux")
    # The names of the versions of glibc's symbols. Each is there once, among the strings of the dynamic section.
    needed = [int(version) for version in re.findall(rb"\0GLIBC_2\.([0-9]+)(?=[.\0])", code)]
    return f"manylinux_2_{max([OLDEST, *needed])}_{machine}"


class CustomBuildHook(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        library = os.environ.get("SUBPY_PACK_LIBRARY")
        if library and self.target_name == "wheel":
            build_data["force_include"][library] = "subpy/libsubpy.so"
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{platform_of(library)}"
