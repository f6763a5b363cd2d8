"""Reads the stacks of Austin's binary format (MOJO, versions 2 to 4)."""

METADATA, STACK, FRAME, INVALID, FRAME_REF, KERNEL, GC, IDLE, TIME, MEMORY, STRING, STRING_REF = range(1, 13)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def number(self):
        byte = self.byte()
        value, shift, negative = byte & 0x3F, 6, byte & 0x40
        while byte & 0x80:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
        return -value if negative else value

    def text(self):
        end = self.data.index(0, self.at)
        found = self.data[self.at:end].decode("utf-8", "replace")
        self.at = end + 1
        return found


def stacks(data):
    """([(file, name, line)…] from the root on, whether no frame of it was marked invalid), one by one."""
    reader, names, frames = Reader(data), {}, {}
    assert data[:3] == b"MOJ", "no MOJO file"
    reader.at = 3
    version = reader.number()
    stack, whole, begun = [], True, False
    while reader.at < len(data):
        event = reader.byte()
        if event == METADATA:
            reader.text(), reader.text()
        elif event == STACK:
            reader.number()
            if version >= 3:
                reader.number()
            reader.text()
            stack, whole, begun = [], True, True
        elif event == FRAME:
            key, file, name, line = (reader.number() for _ in range(4))
            if version >= 2:
                for _ in range(3):
                    reader.number()
            frames[key] = (names.get(file, ""), names.get(name, "").rpartition(".")[2], line)
        elif event == FRAME_REF:
            key = reader.number()
            stack.append(frames[key])
        elif event == INVALID:
            whole = False
        elif event == KERNEL:
            reader.text()
        elif event == STRING:
            key = reader.number()
            names[key] = reader.text()
        elif event == STRING_REF:
            reader.number()
        elif event in (TIME, MEMORY):
            reader.number()
            if begun:
                yield stack, whole
            begun = False
        elif event not in (GC, IDLE):
            raise ValueError(f"event {event} at {reader.at}")
