"""A small reader of protobuf and pprof of the tests' own: shares no code with what it checks."""
import gzip


def fields(data):
    """Yields (number, value) of one message: ints for varints, bytes for the rest."""
    at, end = 0, len(data)

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("varint too long")

    while at < end:
        tag = varint()
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("field number 0")
        if kind == 0:
            yield number, varint()
            continue
        size = varint() if kind == 2 else {1: 8, 5: 4}.get(kind)
        if size is None or at + size > end:
            raise ValueError("bad wire type or length")
        value = data[at:at + size]
        at += size
        yield number, value if kind == 2 else int.from_bytes(value, "little")


def signed(value):
    return value - (1 << 64) if value >= 1 << 63 else value


def packed(value):
    """A repeated varint field's part: packed bytes or one value."""
    if isinstance(value, int):
        return [value]
    out, at = [], 0
    while at < len(value):
        shift = number = 0
        while True:
            byte = value[at]
            at += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        out.append(number)
    return out


class Profile:
    """strings, sample_types [(type, unit)], samples [(location ids, values, labels {key: value})], period_type, ..."""

    def __init__(self, data):
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        self.raw_bytes = len(data)
        self.strings, samples, types, self.locations, self.functions = [], [], [], {}, {}
        self.time_nanos = self.duration_nanos = self.period = 0
        self.period_type, self.comments, self.order = None, [], {"mapping": [], "location": [], "function": []}
        for number, value in fields(data):
            if number == 1:
                types.append(value)
            elif number == 2:
                samples.append(value)
            elif number == 3:
                self.order["mapping"].append(dict(fields(value)).get(1, 0))
            elif number == 4:
                self._location(value)
            elif number == 5:
                function = dict(fields(value))
                self.order["function"].append(function.get(1, 0))
                self.functions[function.get(1, 0)] = function
            elif number == 6:
                self.strings.append(value.decode("utf-8"))
            elif number == 9:
                self.time_nanos = signed(value)
            elif number == 10:
                self.duration_nanos = signed(value)
            elif number == 11:
                self.period_type = value
            elif number == 12:
                self.period = signed(value)
            elif number == 13:
                self.comments += [self_index for self_index in packed(value)]
        if self.strings[:1] != [""]:
            raise ValueError("string_table[0] is not empty")
        self.comments = [self.strings[index] for index in self.comments]
        self.sample_types = [self._type(value) for value in types]
        self.period_type = self._type(self.period_type) if self.period_type is not None else None
        self.samples = [self._sample(value) for value in samples]

    def _type(self, value):
        found = dict(fields(value))
        return self.strings[found.get(1, 0)], self.strings[found.get(2, 0)]

    def _location(self, value):
        location, lines = {}, []
        for number, part in fields(value):
            if number == 4:
                lines.append(dict(fields(part)))
            else:
                location[number] = part
        self.order["location"].append(location.get(1, 0))
        self.locations[location.get(1, 0)] = lines

    def _sample(self, value):
        locations, values, labels = [], [], {}
        for number, part in fields(value):
            if number == 1:
                locations += packed(part)
            elif number == 2:
                values += [signed(each) for each in packed(part)]
            elif number == 3:
                label = dict(fields(part))
                key = self.strings[label[1]]
                labels[key] = self.strings[label[2]] if 2 in label else signed(label.get(3, 0))
        for location in locations:
            if location not in self.locations:
                raise ValueError(f"sample names location {location}, which is not there")
        return locations, values, labels

    def frames(self, location):
        """[(name, file, line)] of one location, innermost first."""
        out = []
        for line in self.locations[location]:
            function = self.functions[line[1]]
            out.append((self.strings[function.get(2, 0)], self.strings[function.get(4, 0)], line.get(2, 0)))
        return out

    def functions_of(self, index):
        """{function: (self, total)} of one sample type."""
        out = {}
        for locations, values, _ in self.samples:
            seen = set()
            for depth, location in enumerate(locations):
                for name, _, _ in self.frames(location):
                    own, total = out.get(name, (0, 0))
                    if depth == 0:
                        own += values[index]
                    if name not in seen:
                        total += values[index]
                    seen.add(name)
                    out[name] = (own, total)
        return out
