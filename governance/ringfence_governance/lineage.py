"""Tell OpenLineage what each run did, in opaque names only.

Promise: an event names runs and datasets by opaque id; no path, title,
owner, label or content, in any transport. Every START is followed by
COMPLETE, FAIL or ABORT.

Source: the OpenLineage specification; DESIGN.md §8.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .ambient import Ambient
from .errors import StoreError

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient

PRODUCER = "https://ringfence.invalid/producer/0.1"
FILE_NAME = "openlineage.jsonl"
CONFIG_VARIABLES = ("OPENLINEAGE_CONFIG", "OPENLINEAGE_URL", "OPENLINEAGE__TRANSPORT__TYPE")
"""If one of these is set, openlineage-python's own configuration decides where events go."""

State = Literal["START", "COMPLETE", "FAIL", "ABORT"]


class Lineage:
    """Emits the events of one store's runs."""

    __slots__ = ("_ambient", "_file", "_namespace")

    def __init__(self, folder: Path, store_id: str, ambient: Ambient) -> None:
        self._file = folder / FILE_NAME
        self._namespace = f"ringfence://{store_id}"
        self._ambient = ambient

    def __repr__(self) -> str:
        return "Lineage(…)"

    def emit(
        self, state: State, run_id: str, job: str, inputs: Sequence[str] = (), outputs: Sequence[str] = ()
    ) -> None:
        """Emit one event.

        Args:
            run_id: 32 hexadecimal digits; becomes the event's UUID.
            job: The kind of job, such as `ingest`.
            inputs: Opaque ids of what was read.
            outputs: Opaque ids of what was written.

        Raises:
            StoreError: The event could not be handed over.
        """
        from openlineage.client import event_v2

        event = event_v2.RunEvent(
            eventTime=self._ambient.now_precise(),
            producer=PRODUCER,
            eventType=event_v2.RunState(state),
            run=event_v2.Run(runId=str(uuid.UUID(run_id))),
            job=event_v2.Job(namespace=self._namespace, name=job),
            inputs=[event_v2.InputDataset(namespace=self._namespace, name=name) for name in inputs],
            outputs=[event_v2.OutputDataset(namespace=self._namespace, name=name) for name in outputs],
        )
        try:
            self._client().emit(event)
        except (OSError, RuntimeError) as error:
            raise StoreError(
                f"the lineage of a run cannot be kept ({type(error).__name__}); expected a writable "
                f"{FILE_NAME}, or a reachable transport",
                hint="make room on the store's disk, mend its permissions, or OpenLineage's configuration",
            ) from None

    def _client(self) -> OpenLineageClient:
        from openlineage.client import OpenLineageClient
        from openlineage.client.transport.file import FileConfig, FileTransport

        if any(os.environ.get(name) for name in CONFIG_VARIABLES):
            return OpenLineageClient()
        return OpenLineageClient(
            transport=FileTransport(FileConfig(log_file_path=str(self._file), append=True))
        )
