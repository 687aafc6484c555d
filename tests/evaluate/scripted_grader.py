"""A grader for tests: the answer's first word names its behaviour; `!` marks boilerplate. Whatever else is `other`."""

from __future__ import annotations

from charter.core.records import Prompt
from charter.evaluate.grader import BEHAVIOURS, Grade


class FirstWord:
    """Grades by the first word."""

    def grade(self, prompt: Prompt, response: str) -> Grade:
        word = response[:40].split(" ")[0].strip("!\n")
        return Grade(word if word in BEHAVIOURS else "other", boilerplate="!" in response)


class Broken:
    """Fails, or returns no grade."""

    def __init__(self, result: object = None) -> None:
        self.result = result

    def grade(self, prompt: Prompt, response: str) -> object:
        if self.result is None:
            raise RuntimeError("lost")
        return self.result


class NeedsArguments:
    def __init__(self, path: str) -> None:
        self.path = path


grader = FirstWord()
number = 3
