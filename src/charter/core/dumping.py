"""Writing plain data as YAML that people like to read, and that reads back as it was."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

WIDTH = 110
"""A line is broken at the first space after so many columns."""

_CORE_NUMBER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def dump_yaml(data: Any) -> str:
    """Dicts, lists, texts, numbers, bools and None in block style. Texts of several lines are literal blocks where that
    loses nothing. What looks like anything but a text, to a reader of YAML 1.1 or 1.2, is quoted."""
    import yaml

    return yaml.dump(data, Dumper=_dumper(), width=WIDTH, allow_unicode=True, sort_keys=False, default_flow_style=False)


@cache
def _dumper() -> Any:
    from yaml import SafeDumper, ScalarNode

    class Dumper(SafeDumper):
        """Lists are indented, and nothing is written as an alias."""

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
            """Indent lists within mappings too."""
            super().increase_indent(flow, False)

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
            """Write equal things out."""
            return True

    def text(dumper: SafeDumper, value: str) -> ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=_style(value))

    Dumper.add_representer(str, text)
    # PyYAML knows the numbers of YAML 1.1; those of 1.2 are to be quoted too where they are texts.
    Dumper.add_implicit_resolver("tag:yaml.org,2002:core-number", _CORE_NUMBER, list("-+.0123456789"))
    return Dumper


def _style(text: str) -> str | None:
    """Literal where there are several lines that a reader can see; double quotes for what cannot be seen."""
    if not all(c.isprintable() or c == "\n" for c in text):
        return '"'
    return "|" if "\n" in text.strip("\n") and not text.startswith((" ", "\n ")) else None
