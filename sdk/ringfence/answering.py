"""What a reader takes for a prompt.

Promise: what goes into a prompt is read and recorded as every other answer is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ringfence_governance.door import Door
from ringfence_governance.subjects import Subject
from ringfence_retrieval import prompting
from ringfence_retrieval.contexts import Context
from ringfence_retrieval.plans import Mode
from ringfence_retrieval.questions import Question

from .administering import Administering
from .boundary import public

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Answering(Administering):
    """The part of a :class:`Reader` that is about prompts."""

    __slots__ = ("__door", "__embed", "__subject")

    def __init__(self, door: Door, subject: Subject, embed: Callable[[str], npt.NDArray[np.float32]]) -> None:
        super().__init__(door, subject)
        self.__door = door
        self.__subject = subject
        self.__embed = embed

    @public
    def context(
        self,
        question: str,
        tokens_max: int = prompting.TOKENS_MAX,
        k: int = prompting.K,
        mode: Mode = "hybrid",
        language: str = "english",
    ) -> Context:
        """Return the best readable passages for a question, ready for a prompt: each once, in order, cited.

        Passages of a document that overlap or follow each other are one; a text that is there already is
        left out. `text` is for the prompt, `citations` says where each passage comes from.

        Args:
            question: A question or some words; not blank.
            tokens_max: For the whole text. A token is 3 bytes of UTF-8, whatever the model: its own count is
                mostly lower.
            k: How many stored passages are looked for, 1 to 1000.
            mode: As in :meth:`search`.
            language: As in :meth:`search`.

        Returns:
            `limit` says what kept it from being longer.

        Raises:
            InvalidInput: One of them is not as said.
        """
        asked = Question(question, k, mode, language)
        return prompting.context(self.__door, self.__subject, asked, tokens_max, self.__embed)
