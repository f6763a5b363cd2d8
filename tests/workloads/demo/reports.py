"""Documents: JSON, compression and hashing, which leave the interpreter for C code."""
import hashlib
import json
import zlib

from catalog import CATALOG


def collect_rows(count):
    return [{"line": number, "name": CATALOG[number % len(CATALOG)]["name"], "values": [number * step for step in range(12)]}
            for number in range(count)]


def serialize_rows(rows):
    return json.dumps(rows, indent=1, sort_keys=True).encode()


def compress_pages(text):
    return b"".join(zlib.compress(text[start:start + 65536], 6) for start in range(0, len(text), 65536))


def render_report(count):
    return compress_pages(serialize_rows(collect_rows(count)) * 4)


def sign_document(document):
    return hashlib.pbkdf2_hmac("sha256", document, b"demo", 9000).hex()
