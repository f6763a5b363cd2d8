"""A reader of pprof files that shares no code with ours: plain protobuf decoding, by the published field numbers."""
import gzip
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


def _fields(data: bytes):
    """(field number, value) of one message; values are ints or bytes."""
    at = 0

    def varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    while at < len(data):
        key = varint()
        number, kind = key >> 3, key & 7
        if kind == 0:
            yield number, varint()
        elif kind == 2:
            size = varint()
            assert at + size <= len(data), "a field reaches past the end"
            yield number, data[at:at + size]
            at += size
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            yield number, int.from_bytes(data[at:at + size], "little")
            at += size
        else:
            raise AssertionError(f"wire type {kind}")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _numbers(value) -> list:
    """A repeated integer field, packed or not."""
    if isinstance(value, int):
        return [_signed(value)]
    result, at = [], 0
    while at < len(value):
        number, shift = 0, 0
        while True:
            byte = value[at]
            at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        result.append(_signed(number))
    return result


def _collect(data: bytes) -> dict:
    found = {}
    for number, value in _fields(data):
        found.setdefault(number, []).append(value)
    return found


@dataclass(frozen=True)
class Frame:
    name: str
    file: str
    line: int
    system_name: str = ""
    start_line: int = 0

    def __str__(self):
        return f"{self.name} ({self.file}:{self.line})"


@dataclass(frozen=True)
class Sample:
    """`stack` is root first; `labels` maps names to strings or numbers."""
    stack: tuple
    values: tuple
    labels: dict

    @property
    def leaf(self) -> Frame:
        return self.stack[-1]

    def names(self) -> list:
        return [frame.name for frame in self.stack]


class Profile:
    """One decoded profile. `types` are (type, unit) of each value."""

    def __init__(self, data: bytes):
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        self.raw = _collect(data)
        self.strings = [text.decode("utf-8") for text in self.raw.get(6, [])]
        assert self.strings and self.strings[0] == "", "the string table starts with the empty string"
        self.types = [self._value_type(item) for item in self.raw.get(1, [])]
        self.functions = self._functions()
        self.locations = self._locations()
        self.samples = [self._sample(item) for item in self.raw.get(2, [])]
        self.time_nanos = _signed(self.raw.get(9, [0])[-1])
        self.duration_nanos = _signed(self.raw.get(10, [0])[-1])
        self.period_type = self._value_type(self.raw[11][-1]) if 11 in self.raw else None
        self.period = _signed(self.raw.get(12, [0])[-1])
        self.comments = [self.strings[index] for value in self.raw.get(13, []) for index in _numbers(value)]

    @classmethod
    def load(cls, path):
        return cls(Path(path).read_bytes())

    def _value_type(self, data):
        found = _collect(data)
        return self.strings[found.get(1, [0])[-1]], self.strings[found.get(2, [0])[-1]]

    def _functions(self):
        result = {}
        for data in self.raw.get(5, []):
            found = {number: values[-1] for number, values in _collect(data).items()}
            result[found[1]] = (self.strings[found.get(2, 0)], self.strings[found.get(4, 0)],
                                self.strings[found.get(3, 0)], _signed(found.get(5, 0)))
        return result

    def _locations(self):
        result = {}
        for data in self.raw.get(4, []):
            found = _collect(data)
            lines = []
            for line in found.get(4, []):
                parts = {number: values[-1] for number, values in _collect(line).items()}
                name, file, system_name, start = self.functions[parts.get(1, 0)]
                lines.append(Frame(name, file, _signed(parts.get(2, 0)), system_name, start))
            result[found[1][-1]] = lines
        return result

    def _sample(self, data):
        found = _collect(data)
        ids = [number for value in found.get(1, []) for number in _numbers(value)]
        leaf_first = [frame for number in ids for frame in self.locations[number]]
        labels = {}
        for label in found.get(3, []):
            parts = {number: values[-1] for number, values in _collect(label).items()}
            text = self.strings[parts.get(2, 0)]
            labels[self.strings[parts.get(1, 0)]] = text if parts.get(2) else _signed(parts.get(3, 0))
        values = tuple(number for value in found.get(2, []) for number in _numbers(value))
        return Sample(tuple(reversed(leaf_first)), values, labels)

    def index(self, kind: str) -> int:
        """Position of a value by its type: "samples", "cpu", "wall", "gil"."""
        return [name for name, _unit in self.types].index(kind)

    @property
    def mode(self) -> str:
        """cpu, wall or gil: the type of the last value."""
        return self.types[-1][0]

    def total(self, kind=None) -> int:
        position = self.index(kind) if kind else len(self.types) - 1
        return sum(sample.values[position] for sample in self.samples)

    def by_leaf(self, kind=None) -> Counter:
        """Value by the leaf's name."""
        position = self.index(kind) if kind else len(self.types) - 1
        result = Counter()
        for sample in self.samples:
            result[sample.leaf.name if sample.stack else ""] += sample.values[position]
        return result

    def by_function(self, kind=None) -> Counter:
        """Value by every function on the stack, once per stack."""
        position = self.index(kind) if kind else len(self.types) - 1
        result = Counter()
        for sample in self.samples:
            for name in set(sample.names()):
                result[name] += sample.values[position]
        return result

    def check(self) -> None:
        """The rules that receivers rely on; raises AssertionError."""
        ids = sorted(self.functions)
        assert ids == list(range(1, len(ids) + 1)), "function ids are not 1..N"
        ids = sorted(self.locations)
        assert ids == list(range(1, len(ids) + 1)), "location ids are not 1..N"
        assert all(lines for lines in self.locations.values()), "a location without a line"
        for sample in self.samples:
            assert len(sample.values) == len(self.types), "a sample with another number of values"
        assert len(set(self.strings)) == len(self.strings), "a string twice"


def load_folder(folder) -> list:
    """Every profile below folder, oldest first."""
    paths = [path for path in Path(folder).rglob("*.pb.gz") if not path.name.startswith(".")]
    return sorted((Profile.load(path) for path in paths), key=lambda profile: profile.time_nanos)
