"""Load a model of sentence-transformers, and run it so that its numbers do not depend on what else runs.

Promise: no network is touched and no code of a model folder is run. A model
runs on the CPU by one thread, and in a process only one runs or is loaded at a
time: how many threads there are can move the last bits of a score, and torch
keeps that number partly for a thread and partly for the process. Both have their
own back afterwards. Torch is imported when a model is loaded, not before.

Source: docs/decisions/0021-reranking.md.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from .errors import RingfenceError

THREADS = 1
"""Threads for one text of some hundred tokens. Two wait for each other whenever the machine has other
work: measured at a load of 4 on 2 cores, 2.9 texts a second with two threads, 14.8 with one."""

Kind = Literal["SentenceTransformer", "CrossEncoder"]

_turn = threading.Lock()


def load(kind: Kind, folder: Path, unavailable: Callable[[str], RingfenceError]) -> Any:
    """Return the model of a folder, on the CPU, without network and without foreign code.

    Args:
        kind: The class of sentence-transformers that saved it.
        folder: With safetensors.
        unavailable: Makes the error, of a text that says what was found.

    Raises:
        RingfenceError: What `unavailable` made: sentence-transformers is missing, or cannot load the folder.
    """
    stay_offline()
    try:
        import sentence_transformers
        from transformers.utils import logging
    except ImportError as error:
        raise unavailable(
            f"found no {error.name}; expected it beside Ringfence; run: pip install sentence-transformers"
        ) from None
    logging.disable_progress_bar()
    try:
        # Loading sets the type of new numbers for the whole process, to that of the weights.
        with _turn:
            return getattr(sentence_transformers, kind)(
                str(folder),
                device="cpu",
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
    except (OSError, ValueError, KeyError, ImportError, AttributeError, TypeError) as error:
        raise unavailable(
            f"found no loadable {kind} in {str(folder)!r} ({type(error).__name__}); expected "
            f"a folder saved by {kind}.save, with safetensors"
        ) from None


def stay_offline() -> None:
    """Keep the libraries that models are loaded with from the network, unless the environment says otherwise."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@contextmanager
def running() -> Iterator[None]:
    """Run a model by :data:`THREADS`, alone in this process, then give the thread its own number back.

    To be held for one text at a time: whoever else has one waits for it.
    """
    import torch

    with _turn:
        # A thread that is new to torch begins with the process's number. Were another at work that would be
        # THREADS, and it would be given back to the process when this one is the last.
        before = torch.get_num_threads()
        torch.set_num_threads(THREADS)
        try:
            yield
        finally:
            torch.set_num_threads(before)
