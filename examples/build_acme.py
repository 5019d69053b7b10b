"""Build the PDF and Word files of the demo from their text sources.

Promise: the same sources give the same bytes, on every run; the built files
stand in the repository, so nobody who only runs the demo needs this script.

    python examples/build_acme.py            write the files
    python examples/build_acme.py --check    write nothing; exit 1 if a file differs from its source

A source is `sources/<firm>/<path>.txt`. A line `# …` is the title, `## …` a
heading, `- …` a list item, `| … | …` a table row (the first row of a table is
its head); all else are paragraphs, divided by blank lines.
"""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import docx
from fpdf import FPDF
from fpdf.enums import XPos, YPos

EXAMPLES = Path(__file__).resolve().parent
TARGETS = {"acme": EXAMPLES / "acme" / "files", "borealis": EXAMPLES / "borealis"}
BUILT_AT = datetime(2026, 11, 16, 8, 0, 0, tzinfo=UTC)
"""The one time that stands in every built file."""

AUTHOR = "Ringfence demo"
MARKS = {"#": "title", "##": "heading", "-": "item"}


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of a text: a title, heading, item or paragraph with its text, or a table with its rows."""

    kind: str
    text: str = ""
    rows: tuple[tuple[str, ...], ...] = ()


def main(arguments: list[str]) -> int:
    """Write every file, or with `--check` compare it; return the exit code."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("error: found arguments, expected none or --check\n")
        return 2
    differing = 0
    for target, content in built_files():
        if arguments:
            if not target.is_file() or target.read_bytes() != content:
                differing += 1
                sys.stdout.write(f"differs: {target.relative_to(EXAMPLES)}\n")
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return 1 if differing else 0


def built_files() -> Iterator[tuple[Path, bytes]]:
    """Yield every built file's path and its bytes, in order of the sources."""
    for firm, target in sorted(TARGETS.items()):
        root = EXAMPLES / "sources" / firm
        for source in sorted(root.rglob("*.txt")):
            name = source.relative_to(root).with_suffix("")
            blocks = read_blocks(source.read_text(encoding="utf-8"))
            build = {".pdf": build_pdf, ".docx": build_docx}[name.suffix]
            yield target / name, build(blocks)


def read_blocks(text: str) -> tuple[Block, ...]:
    """Return the blocks of a source text, in order."""
    pieces = (piece.strip("\n").split("\n") for piece in text.split("\n\n"))
    return tuple(block for lines in pieces for block in read_piece(lines))


def read_piece(lines: list[str]) -> list[Block]:
    """Return the blocks of the lines between two blank ones; a line without a mark goes on with the last."""
    if lines[0].startswith("|"):
        rows = (line.strip("|").split("|") for line in lines)
        return [Block("table", rows=tuple(tuple(cell.strip() for cell in row) for row in rows))]
    blocks: list[Block] = []
    for line in lines:
        mark, _, rest = line.partition(" ")
        if mark in MARKS:
            blocks.append(Block(MARKS[mark], rest))
        elif blocks:
            last = blocks.pop()
            blocks.append(Block(last.kind, f"{last.text} {line.strip()}"))
        else:
            blocks.append(Block("paragraph", line))
    return blocks


def build_pdf(blocks: tuple[Block, ...]) -> bytes:
    """Return the blocks as an A4 PDF with a text layer in the built-in Helvetica."""
    pdf = FPDF(format="A4")
    pdf.set_creation_date(BUILT_AT)
    pdf.set_author(AUTHOR)
    pdf.set_producer(AUTHOR)
    pdf.set_title(blocks[0].text)
    pdf.set_margin(22)
    pdf.add_page()
    for block in blocks:
        if block.kind == "table":
            pdf.set_font("helvetica", size=10)
            with pdf.table(first_row_as_headings=True, padding=1) as table:
                for cells in block.rows:
                    table.row(cells)
            pdf.ln(3)
            continue
        size, style = {"title": (17, "B"), "heading": (12, "B")}.get(block.kind, (10.5, ""))
        text = f"- {block.text}" if block.kind == "item" else block.text
        pdf.set_font("helvetica", style=style, size=size)
        pdf.multi_cell(0, size * 0.5, latin(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT, align="L")
        pdf.ln(1 if block.kind == "item" else 3)
    return bytes(pdf.output())


def latin(text: str) -> str:
    """Return the text with the quotation marks that the built-in fonts lack made plain."""
    return text.translate({0x201C: '"', 0x201D: '"', 0x2019: "'"})


def build_docx(blocks: tuple[Block, ...]) -> bytes:
    """Return the blocks as a Word file with real headings, lists and tables, and fixed times."""
    document = docx.Document()
    properties = document.core_properties
    properties.author = properties.last_modified_by = AUTHOR
    properties.title, properties.comments = blocks[0].text, ""
    properties.created = properties.modified = BUILT_AT.replace(tzinfo=None)
    for block in blocks:
        if block.kind == "table":
            table = document.add_table(rows=0, cols=len(block.rows[0]), style="Table Grid")
            for cells in block.rows:
                for cell, text in zip(table.add_row().cells, cells, strict=True):
                    cell.text = text
            document.add_paragraph()
        elif block.kind in ("title", "heading"):
            document.add_heading(block.text, level=0 if block.kind == "title" else 1)
        else:
            document.add_paragraph(block.text, style="List Bullet" if block.kind == "item" else None)
    raw = io.BytesIO()
    document.save(raw)
    return with_fixed_times(raw.getvalue())


def with_fixed_times(archive: bytes) -> bytes:
    """Return the zip archive with every member dated alike and compressed alike."""
    stamped = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(stamped, "w") as new:
        for member in old.infolist():
            info = zipfile.ZipInfo(member.filename, date_time=BUILT_AT.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            new.writestr(info, old.read(member.filename), compresslevel=9)
    return stamped.getvalue()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
