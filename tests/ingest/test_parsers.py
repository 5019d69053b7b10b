from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import docx
import pytest
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader, PdfWriter

from ringfence_ingest.errors import FileSkipped, FileTrouble
from ringfence_ingest.limits import ZIP_BYTES_MAX
from ringfence_ingest.media_types import DOCX, HTML, MAIL, MARKDOWN, PDF, PLAIN, media_type_of
from ringfence_ingest.parsers import parse

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


@pytest.mark.parametrize(
    ("path", "content", "declared", "expected"),
    [
        ("a.txt", b"x", None, PLAIN),
        ("a.MD", b"x", None, MARKDOWN),
        ("a.htm", b"x", None, HTML),
        ("a.eml", b"x", None, MAIL),
        ("a.pdf", b"%PDF-1.4", None, PDF),
        ("a.csv", b"a,b", None, PLAIN),
        ("README", b"hello", None, PLAIN),
        ("a", b"<!DOCTYPE html><p>", None, HTML),
        ("a", b"  <HTML>", None, HTML),
        ("a", b"%PDF-1.7\n", None, PDF),
        ("a", b"Received: by x\nFrom: a@b\nTo: c\n\nhi", None, MAIL),
        ("a", b"To: do\nbuy milk", None, PLAIN),
        ("a", "hé".encode("utf-16"), None, PLAIN),
        ("a.bin", b"x", "text/markdown; charset=utf-8", MARKDOWN),
        ("a", b"x", "text/x-rst", PLAIN),
    ],
)
def test_the_kind_comes_from_declaration_ending_and_bytes(
    path: str, content: bytes, declared: str | None, expected: str
) -> None:
    assert media_type_of(path, content, declared) == expected


@pytest.mark.parametrize(
    ("path", "content", "declared", "message"),
    [
        ("a.txt", b"", None, "found an empty file"),
        ("a.png", b"\x89PNG\r\n", None, "found a PNG picture"),
        ("a", b"\x7fELF\x02", None, "found a program"),
        ("a.zip", b"PK\x03\x04xyz", None, "found a zip archive that is no docx"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", None, "found an old Office file"),
        ("a.dat", b"a\x00b", None, "found binary data of an unknown kind"),
        ("a", b"x", "image/png", "found media type 'image/png'"),
    ],
)
def test_what_is_no_text_is_skipped_by_its_kind(
    path: str, content: bytes, declared: str | None, message: str
) -> None:
    with pytest.raises(FileSkipped) as skipped:
        media_type_of(path, content, declared)
    assert str(skipped.value).startswith(message)


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("a.pdf", b"hello", "found no PDF header in a file called .pdf"),
        ("a.docx", b"hello", "found no zip archive in a file called .docx"),
        (
            "a.docx",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1...",
            "found an encrypted document, or an old .doc with a new name; expected a docx without a password",
        ),
    ],
)
def test_an_ending_that_lies_is_a_defect(path: str, content: bytes, message: str) -> None:
    with pytest.raises(FileTrouble) as trouble:
        media_type_of(path, content, None)
    assert str(trouble.value).startswith(message)


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00\ufeff"), min_size=1))
def test_plain_text_is_kept_character_by_character(text: str) -> None:
    assert parse(text.encode(), PLAIN).text == text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_that_say_what_they_are_are_read(encoding: str) -> None:
    assert parse("grüße €".encode(encoding), PLAIN).text == "grüße €"


def test_a_wrong_encoding_is_reported_with_the_parameter_to_set() -> None:
    with pytest.raises(FileTrouble) as trouble:
        parse("grüße".encode("cp1252"), PLAIN)
    assert str(trouble.value) == (
        "found bytes that are not utf-8 at byte 2; expected UTF-8, or UTF-16 with a byte order mark; "
        "save it as UTF-8, or name its encoding: --encoding cp1252, or encoding='cp1252' in Python"
    )
    assert parse("grüße".encode("cp1252"), PLAIN, "cp1252").text == "grüße"
    # A mark is believed before the parameter, since the parameter is for a whole source.
    assert parse("grüße".encode("utf-16"), PLAIN, "cp1252").text == "grüße"
    with pytest.raises(FileTrouble, match="not utf-16"):
        parse(b"\xff\xfea", PLAIN)


def test_binary_data_in_a_text_file_is_skipped() -> None:
    with pytest.raises(FileSkipped, match="binary data"):
        parse(b"abc\x00def", PLAIN)


def test_the_title_of_markdown_is_its_first_heading() -> None:
    assert parse(b"intro\n\n## The *plan* ##\n\ntext", MARKDOWN).title == "The *plan*"
    assert parse(b"#no heading\n", MARKDOWN).title == ""


PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>The  title</title><style>.x{STYLE}</style>
</head><body>
<h1>head one</h1><p>bo<b>ldw</b>ord first
line</p><p>second&nbsp;para &amp; &euro; caf&eacute;</p><script>SCRIPT</script><noscript>NOSCRIPT</noscript>
<template>TEMPLATE</template><!-- COMMENT --><table><tr><td>cella</td><td><p>cellb</p></td></tr><tr><td>cellc</td>
</tr></table><ul><li>itema<li>itemb</ul>line<br>break<pre>pre  two
lines</pre><a href="HREF">link</a>tail<div>inner</div>after<p>unclosed <i>ital<p>last</body></html>"""


def test_html_gives_what_a_browser_shows() -> None:
    found = parse(PAGE.encode(), HTML)
    assert found.title == "The title"
    lines = [line for line in found.text.split("\n") if line]
    assert lines == [
        "head one",
        "boldword first line",
        "second\xa0para & € café",
        "cella",
        "cellb",
        "cellc",
        "itema",
        "itemb",
        "line",
        "break",
        "pre  two",
        "lines",
        "linktail",
        "inner",
        "after",
        "unclosed ital",
        "last",
    ]


def test_a_tables_row_stays_on_one_line() -> None:
    assert parse(b"<table><tr><th>a<th>b<tr><td>c<td>d</table>", HTML).text == "a\tb\nc\td"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('<meta charset="iso-8859-1"><p>caf\xe9'.encode("latin-1"), "café"),
        ("<meta charset=windows-1252><p>\u20ac".encode("cp1252"), "€"),
        ("<p>€".encode("utf-16"), "€"),
        (b"<frameset></frameset>", ""),
        (b"<p>a\x01b", "ab"),
    ],
)
def test_html_is_decoded_as_it_says(content: bytes, text: str) -> None:
    assert parse(content, HTML).text == text


def test_an_unknown_charset_is_reported() -> None:
    with pytest.raises(FileTrouble, match="says its charset is 'klingon'"):
        parse(b"<meta charset='klingon'><p>x", HTML)
    assert parse(b"<meta charset='klingon'><p>x", HTML, "utf-8").text == "x"


def test_a_pdf_gives_its_pages_and_title(make_pdf: Callable[..., bytes]) -> None:
    found = parse(make_pdf("page one words", "page two words", title="Quarterly"), PDF)
    assert found.text == "page one words\n\npage two words"
    assert found.title == "Quarterly"


def encrypted(content: bytes, password: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(content)))
    writer.encrypt(password, "owner", algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_an_encrypted_pdf_is_reported(make_pdf: Callable[..., bytes]) -> None:
    with pytest.raises(FileTrouble) as trouble:
        parse(encrypted(make_pdf("hidden words"), "secret"), PDF)
    assert str(trouble.value) == (
        "found an encrypted PDF; expected one that opens without a password; save a copy without the password"
    )
    assert parse(encrypted(make_pdf("printable words"), ""), PDF).text == "printable words"


@pytest.mark.parametrize("damage", ["cut", "garbage", "header only"])
def test_a_corrupt_pdf_is_reported(make_pdf: Callable[..., bytes], damage: str) -> None:
    content = make_pdf("some words")
    broken = {
        "cut": content[: len(content) // 3],
        "garbage": b"%PDF-1.4\n" + bytes(range(256)) * 20,
        "header only": b"%PDF-1.7",
    }[damage]
    with pytest.raises(FileTrouble, match=r"found (a corrupt PDF|0 pages)"):
        parse(broken, PDF)


def test_a_pdf_of_pictures_alone_is_reported() -> None:
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    out = io.BytesIO()
    writer.write(out)
    with pytest.raises(FileTrouble, match=r"found 1 pages and no text layer; .*OCR"):
        parse(out.getvalue(), PDF)


def rich_docx() -> bytes:
    document = docx.Document()
    document.core_properties.title = "Rich"
    document.add_heading("heading", 1)
    paragraph = document.add_paragraph("al")
    paragraph.add_run("pha").bold = True
    document.add_paragraph("bullet", style="List Bullet")
    table = document.add_table(2, 2)
    for number, word in enumerate(["aa", "ab", "ba", "bb"]):
        table.cell(number // 2, number % 2).text = word
    table.cell(1, 1).add_table(1, 1).cell(0, 0).text = "nested"
    body = document.element.body
    for piece in (
        f"<w:p {W}><w:hyperlink><w:r><w:t>link</w:t></w:r></w:hyperlink><w:r><w:tab/><w:t>tab</w:t></w:r></w:p>",
        f"<w:p {W}><w:r><w:t>kept </w:t></w:r><w:ins><w:r><w:t>inserted</w:t></w:r></w:ins><w:del><w:r>"
        "<w:delText>DELETED</w:delText></w:r></w:del><w:moveFrom><w:r><w:t>MOVEDFROM</w:t></w:r></w:moveFrom><w:moveTo><w:r><w:t>"
        " movedto</w:t></w:r></w:moveTo></w:p>",
        f"<w:sdt {W}><w:sdtContent><w:p><w:r><w:t>control</w:t></w:r></w:p></w:sdtContent></w:sdt>",
        f"<w:p {W}><w:r><w:instrText>FIELDCODE</w:instrText></w:r><w:fldSimple w:instr='PAGE'><w:r><w:t>field</w:t>"
        "</w:r></w:fldSimple></w:p>",
        f"<w:p {W} xmlns:mc='http://schemas.openxmlformats.org/markup-compatibility/2006'><w:r><mc:AlternateContent>"
        "<mc:Choice Requires='wps'><w:txbxContent><w:p><w:r><w:t>box</w:t></w:r></w:p></w:txbxContent></mc:Choice>"
        "<mc:Fallback><w:txbxContent><w:p><w:r><w:t>box</w:t></w:r></w:p></w:txbxContent></mc:Fallback>"
        "</mc:AlternateContent></w:r></w:p>",
    ):
        body.insert(len(body) - 1, parse_xml(piece))
    document.sections[0].header.paragraphs[0].text = "header"
    document.sections[0].footer.paragraphs[0].text = "footer"
    note = "<w:footnote w:id='2'><w:p><w:r><w:t>footnote</w:t></w:r></w:p></w:footnote>"
    notes = f"<w:footnotes {W}>{note}</w:footnotes>"
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    part = Part(PackURI("/word/footnotes.xml"), kind, notes.encode(), document.part.package)
    document.part.relate_to(
        part, "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
    )
    document.add_comment(document.paragraphs[1].runs, text="COMMENT", author="a", initials="a")
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def test_a_docx_gives_all_its_text_with_changes_accepted() -> None:
    found = parse(rich_docx(), DOCX)
    assert found.title == "Rich"
    assert [line for line in found.text.split("\n") if line.strip()] == [
        "heading",
        "alpha",
        "bullet",
        "aa \tab",
        "ba \tbb nested",
        "link\ttab",
        "kept inserted movedto",
        "control",
        "field",
        "box",
        "footnote",
        "header",
        "footer",
    ]


def test_a_zip_bomb_docx_is_refused_before_it_is_unpacked() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        for number in range(5):
            archive.writestr(f"word/document{number}.xml", b"\0" * (ZIP_BYTES_MAX // 5 + 1))
    with pytest.raises(FileTrouble) as trouble:
        parse(out.getvalue(), DOCX)
    assert str(trouble.value).startswith("found an archive that expands to 2684")
    assert "a zip bomb?" in str(trouble.value)


@pytest.mark.parametrize(("size", "refused"), [(8 * 2**20, False), (20 * 2**20, True)])
def test_a_docx_that_expands_too_often_is_refused(size: int, refused: bool) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"\0" * size)
    with pytest.raises(FileTrouble) as trouble:
        parse(out.getvalue(), DOCX)
    assert ("times; expected at most 200 times" in str(trouble.value)) == refused


def test_an_archive_that_lies_about_its_size_gives_no_more_than_it_declares(
    make_docx: Callable[..., bytes],
) -> None:
    content = bytearray(make_docx("x" * 100_000))
    entry = content.rfind(b"PK\x01\x02", 0, content.rfind(b"word/document.xml"))
    content[entry + 24 : entry + 28] = (500).to_bytes(4, "little")
    with pytest.raises(FileTrouble, match=r"no Word document|broken zip"):
        parse(bytes(content), DOCX)


def with_document(xml: bytes) -> bytes:
    source, out = io.BytesIO(), io.BytesIO()
    docx.Document().save(source)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            new.writestr(entry.filename, xml if entry.filename == "word/document.xml" else old.read(entry))
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 and then nothing",
        b"PK\x05\x06" + b"\0" * 18,
        with_document(b"<not closed"),
        with_document(f"<w:document {W}/>".encode()),
    ],
)
def test_a_broken_docx_is_reported(content: bytes) -> None:
    with pytest.raises(FileTrouble, match="open it"):
        parse(content, DOCX)


def test_entities_in_a_docx_are_never_expanded(tmp_path: object) -> None:
    bomb = "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10 if n else 'lol'}'>" for n in range(10))
    xml = f"<!DOCTYPE x [{bomb}]><w:document {W}><w:body><w:p><w:r><w:t>&a9;</w:t></w:r></w:p></w:body></w:document>"
    try:
        assert "lol" not in parse(with_document(xml.encode()), DOCX).text
    except FileTrouble as trouble:
        assert "lol" not in str(trouble)  # noqa: PT017 - either way is right


MIXED = b"""From: =?utf-8?q?J=C3=B6rg?= <joerg@acme.example>
To: ada@acme.example
Bcc: SECRET@acme.example
Subject: =?utf-8?b?R3LDvMOfZQ==?= from
 Berlin
Date: Mon, 2 Nov 2026 10:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: multipart/alternative; boundary=y

--y
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

caf=E9 is the body
--y
Content-Type: text/html

<p>HTML body</p>
--y--
--x
Content-Type: application/pdf; name=offer.pdf
Content-Disposition: attachment; filename=offer.pdf
Content-Transfer-Encoding: base64

JVBERi0=
--x--
"""


def test_a_mail_gives_headers_body_and_names_of_attachments() -> None:
    found = parse(MIXED, MAIL)
    assert found.title == "Grüße from Berlin"
    assert found.text == (
        "Subject: Grüße from Berlin\nFrom: Jörg <joerg@acme.example>\nTo: ada@acme.example\n"
        "Date: Mon, 02 Nov 2026 10:00:00 +0000\n\ncafé is the body\n\nAttachment: offer.pdf"
    )


def test_bcc_is_never_part_of_a_mails_text() -> None:
    assert "SECRET" not in parse(MIXED, MAIL).text


def test_a_mail_of_html_alone_gives_its_text() -> None:
    content = b"Subject: s\nContent-Type: text/html\n\n<p>a<p>b<script>X</script>"
    assert parse(content, MAIL).text == "Subject: s\n\na\n\nb"


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: s\nContent-Type: text/plain; charset=klingon\n\nhello",
        b"Subject: s\nContent-Type: text/plain; charset=utf-8\n\nhello \xff",
        b"Subject: s\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\nhello!",
        b"Subject: s\nContent-Type: multipart/mixed\n\nhello",
        b"Subject: s\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: ;;;\n\nhello",
        b"Subject: s\nContent-Type: \xff\xfe\n\nhello",
        b"Subject: s\nDate: \xff\nFrom: <<>>,,;\nTo: =?utf-8?q?=ff\n\nhello",
        b"Subject: s\nMIME-Version: 1.0\nContent-Type: message/rfc822\n\nSubject: inner\n\nhello",
    ],
)
def test_malformed_mails_are_read_as_far_as_they_go(content: bytes) -> None:
    assert "Subject: s" in parse(content, MAIL).text


@given(st.binary(max_size=400))
def test_no_garbage_passes_a_parser_unreported(garbage: bytes) -> None:
    for kind, start in ((PDF, b"%PDF-1.4\n"), (DOCX, b"PK\x03\x04"), (MAIL, b"Subject: "), (HTML, b"<p")):
        try:
            text = parse(start + garbage, kind, "latin-1").text
        except FileTrouble:
            continue
        text.encode("utf-8")


def test_what_a_parser_runs_into_is_reported_without_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(content: bytes, media_type: str, encoding: str | None) -> None:
        raise ZeroDivisionError("the crown is under the oak")

    monkeypatch.setattr("ringfence_ingest.parsers._parse", explode)
    with pytest.raises(FileTrouble) as trouble:
        parse(b"x", PDF)
    assert str(trouble.value).startswith("found a file its parser cannot read (ZeroDivisionError)")
    assert trouble.value.__cause__ is None
    assert trouble.value.__suppress_context__
