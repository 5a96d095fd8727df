#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: evlog_verify.py --key PUB.pem --archive DIR [--incarnation ID] [--since NOTE]

Verifies an archive of evlog with this file and Python alone. Written from docs/format.md, section 15; shares no code
with evlog. --since: a root note saved at an earlier visit. Prints what it found as JSON. Exit: 0 proven, 8 not (the
first bad object is named), 2 wrong use."""
import base64, functools, hashlib, json, os, re, struct, sys  # noqa: E401
HEADER, PACK, PART, ROW = "<8sII16sQQQQ32s16sQ32sQiI88s", "<8sII16sIIQQQ", "<16siIqqQQQQQ32s", "<qIIQqiI32s16sII"
SPKI = {1: bytes.fromhex("302a300506032b6570032100"),        # what is before a key; kinds as in notes
        2: bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")}
P, N = 2**256 - 2**224 + 2**192 + 2**96 - 1, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
     0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)
Q, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, Q) % Q
class Bad(Exception): pass      # object, position in it or None, what is wrong
def need(truth, name, what, pos=None):
    if not truth: raise Bad(name, pos, what)
def sha256(*parts): return hashlib.sha256(b"".join(parts)).digest()

def add_p256(a, b):
    if a is None or b is None: return a or b
    if a[0] == b[0] and a[1] != b[1]: return None
    m = 3 * (a[0] * a[0] - 1) * pow(2 * a[1], -1, P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (m * m - a[0] - b[0]) % P
    return x, (m * (a[0] - x) - a[1]) % P
def add_ed25519(a, b):
    m = D * a[0] * b[0] * a[1] * b[1] % Q
    w = pow(1 - m * m, -1, Q)
    return (a[0] * b[1] + a[1] * b[0]) * (1 - m) * w % Q, (a[1] * b[1] + a[0] * b[0]) * (1 + m) * w % Q
def products(add, zero, u, a, v, b):
    total, table = zero, (zero, a, b, add(a, b))
    for bit in range(255, -1, -1):
        total = add(add(total, total), table[(u >> bit & 1) + 2 * (v >> bit & 1)])
    return total        # u a + v b
def verify_p256(key, text, signature):
    x, y = (int.from_bytes(key[pos:pos + 32], "big") for pos in (27, 59))
    r, s = (int.from_bytes(part, "big") for part in (signature[4:4 + signature[3]], signature[6 + signature[3]:]))
    der = b"".join(bytes([2, n.bit_length() // 8 + 1]) + n.to_bytes(n.bit_length() // 8 + 1, "big") for n in (r, s))
    if signature != bytes([48, len(der)]) + der or not (0 < r < N and 0 < s < N): return False      # one encoding
    w = pow(s, -1, N)
    point = products(add_p256, None, int.from_bytes(sha256(text), "big") * w % N, G, r * w % N, (x, y)) or (0, 0)
    on_curve = (y * y - x**3 + 3 * x - G[1]**2 + G[0]**3 - 3 * G[0]) % P == 0
    return len(key) == 91 and key[:27] == SPKI[2] and on_curve and point[0] % N == r
def point_ed25519(data):
    y = int.from_bytes(data, "little") & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, -1, Q) % Q
    x = pow(square, (Q + 3) // 8, Q)
    x = x if (x * x - square) % Q == 0 else x * pow(2, (Q - 1) // 4, Q) % Q
    return None if (x * x - square) % Q or x == 0 else (x if x & 1 == data[31] >> 7 else Q - x, y)
def verify_ed25519(key, text, signature):
    a, s, base = point_ed25519(key), int.from_bytes(signature[32:], "little"), point_ed25519(b"X" + b"f" * 31)
    if a is None or len(signature) != 64 or s >= L: return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % L
    x, y = products(add_ed25519, (0, 1), s, base, k, (Q - a[0], a[1]))
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]

class Tree:
    def __init__(self, leaves=()):      # roots[n] is the root of the first n
        self.leaves, self.frontier, self.roots = [], [], [fold([])]
        for leaf in leaves: self.add(leaf)
    def add(self, leaf):
        size = len(self.leaves)
        self.leaves.append(leaf)
        while size & 1: leaf, size = sha256(b"\1", self.frontier.pop(), leaf), size >> 1
        self.frontier.append(leaf)
        self.roots.append(fold(self.frontier))
    def tiles(self, sizes):
        level, row = 0, self.leaves
        while row and sizes:        # (name, content) of those at these sizes
            ends = {size >> 8 * level for size in sizes}
            full = {(i, i + 256) for i in range(0, max(ends) - 255, 256)}
            for first, end in sorted(full | {(end & -256, end) for end in ends if end & 255}):
                yield tile_name(level, first, end), b"".join(row[first:end])
            level, row = level + 1, [Tree(row[i:i + 256]).roots[-1] for i in range(0, len(row) - 255, 256)]
def tile_name(level, first, end):
    path = re.sub("(...)(?=.)", r"x\1/", (digits := str(first // 256)).zfill(-len(digits) // 3 * -3))
    return f"tile/{level}/{path}" + f".p/{end - first}" * (end - first < 256)
def fold(frontier): return functools.reduce(lambda b, a: sha256(b"\1", a, b), reversed(frontier or [sha256()]))
def decode(name, text):
    data = base64.b64decode(text) if re.fullmatch("[A-Za-z0-9+/]+=*", text) and len(text) % 4 == 0 else b""
    need(data and base64.b64encode(data).decode() == text, name, "base64 is damaged")
    return data
def open_note(name, data, keys):
    body, gap, lines = data.decode(errors="replace").rpartition("\n\n")
    words, signers, controls = body.split("\n"), set(), re.search("[\0-\x09\x0b-\x1f\ufffd]", body + lines)
    need(gap and len(words) == 3 and lines[-1:] == "\n" and not controls and
         re.fullmatch("0|[1-9][0-9]{,17}", words[1]), name, "no note of three lines")
    for line in lines[:-1].split("\n"):
        dash, key_name, signature = line.split(" ") if line.count(" ") == 2 else ("", "", "")
        need(dash == "\N{EM DASH}" and key_name, name, "no signature line")
        signature = decode(name, signature)
        for kind, key in keys if key_name == "/".join(words[0].split("/")[:2]) else ():
            if signature[:4] == sha256(key if kind == 2 else key_name.encode() + b"\n\1" + key)[:4]:
                right = (verify_p256 if kind == 2 else verify_ed25519)(key, (body + "\n").encode(), signature[4:])
                need(right, name, "a signature is wrong")
                signers.add((kind, key))
    return words[0], int(words[1]), decode(name, words[2]), signers     # of keys, those that signed

class Incarnation:
    at, later = "", 0      # what is being looked at; of a parent: when its child's newest manifest was made, ms
    def __init__(self, folder, name):
        self.folder, self.name, self.expected, self.bytes = os.path.join(folder, name), name, set(), 0
        self.files = {os.path.relpath(os.path.join(at, file), self.folder)
                      for at, _, files in os.walk(self.folder) for file in files}
        self.tree, self.keys, self.signing, self.full, self.cut, self.parent = Tree(), {}, [], 0, 0, None
        self.first_keys, self.history, self.reached, self.rows, self.gaps, self.redacted = [], {}, {}, {}, [], []
    def read(self, name):
        Incarnation.at = name
        self.expected.add(name)
        need(name in self.files, name, "missing")
        return open(os.path.join(self.folder, name), "rb").read()
    def manifest(self, number):
        name, touched, pos = f"manifest/{number:016x}", set(), 256
        data = self.read(name)
        magic, form, kind, made_in, sequence, full, cut, *rest, size, _, count, zeros = struct.unpack_from(HEADER, data)
        need((magic, form, made_in.hex(), sequence, size) == (b"EVLOGMAN", 1, self.name, number, len(data) - 256) and
             not any(zeros) and kind < 2, name, "not the header of this manifest")
        need((full == number if kind == 0 else full == self.full and number - full <= 64) and cut >= self.cut and
             rest[2:] == (self.parent or rest[2:]), name, "it does not go on from the one before")
        self.full, self.cut, self.parent = full, cut, rest[2:]
        if kind == 0: self.partitions, self.parts, self.objects, self.redactions, self.retired = {}, {}, {}, [], {}
        for _ in range(count):
            tag, size = struct.unpack_from("<II", data, pos)
            need(tag in range(1, 9) or tag >> 31, name, "a record of a newer format", pos)
            self.record(name, tag, data[pos + 8:pos + 8 + size], number, touched)
            pos += 8 + size + -size % 8
        need(pos == len(data), name, "its records have another length", pos)
        for where in touched:       # tiles and a checkpoint are put at the size that segments reach
            reach, parts = self.retired.get(where, (0, 0))[1], self.parts[where]
            while reach in parts and self.objects[parts[reach][6]][1] == 2:
                reach += parts[reach][2]
            self.reached.setdefault(where, set()).update({reach} - {0})
        self.first_keys = self.first_keys or list(self.keys)
        self.tree.add(sha256(b"\0", sha256(data)))
        self.signing.append({key for key, retired in self.keys.items() if not retired})
    def record(self, name, tag, body, number, touched):
        if tag == 7: need(body[8:] == b"".join(self.tree.frontier), name, "another tree of manifests")
        elif tag == 5: self.keys[struct.unpack_from("<I", body)[0], body[16:]] = struct.unpack_from("<I", body, 4)[0]
        elif tag == 2:
            *where, start, end, size = struct.unpack_from("<16si4xqq16xQ", body)
            self.partitions[tuple(where)] = (start, end, size)
            root = fold([body[i:i + 32] for i in range(64, len(body), 32)])
            self.history.setdefault(tuple(where), []).append((name, size, root))
        elif tag == 3: self.objects[struct.unpack_from("<Q", body)[0]] = struct.unpack("<QIIII16si4xQQQ32s", body)
        elif tag == 4:
            part = struct.unpack(PART, body)
            row, first, end = self.parts.setdefault(part[:2], {}), part[5], part[5] + part[2]
            for leaf in [leaf for leaf, old in row.items() if leaf < end and leaf + old[2] > first]:
                need(first <= leaf and leaf + row.pop(leaf)[2] <= end, name, "a part covers another by half")
            row[first] = part
            touched.add(part[:2])
        elif tag == 8:      # events left by age: their leaves stay, in tiles
            *where, end, newest, when, age, leaves = struct.unpack_from("<16si4xqQQqQ", body)
            row = self.parts.setdefault(where := tuple(where), {})
            gone = [row.pop(leaf) for leaf in sorted(row) if leaf < leaves]
            ends = gone[-1][4:6] + gone[-1][2:3] if gone else (end, leaves, 0) if self.full == number else (0, 0, 0)
            need(ends[0] == end and sum(ends[1:]) == leaves and newest // 10**6 + age <= when, name, "retired too soon")
            self.retired[where] = end, leaves, [body[i:i + 32] for i in range(64, len(body), 32)], newest, when, age
        elif tag == 6: self.redactions.append((*struct.unpack_from("<16si4xqq", body), body[48:].decode()))
    def newest(self): return max([int(at[5:], 16) for at in self.files if re.fullmatch("root/[0-9a-f]{16}", at)] + [1])
    def pack(self, number, kind, state, shard, count, topic, partition, sequence, length, replaced_ms, digest):
        names = f"bundles/{shard:04d}/{sequence:016x}", f"topics/{topic.hex()}/{partition}/seg/{sequence:020d}"
        name = f"{names[kind == 2]}-{digest.hex()[:16]}{'.seg' * (kind == 2)}"
        gone = state == 2 and self.later - replaced_ms >= 7 * 86400000 and name not in self.files
        if state == 3 or gone: return self.expected.add(name)
        data = self.read(name)
        need(len(data) == length, name, f"{len(data)} bytes, not {length}", min(len(data), length))
        head = (b"EVLOGPAK", 1, count, bytes.fromhex(self.name), shard, kind, sequence if kind == 1 else 0, length, 0)
        need(struct.unpack_from(PACK, data) == head, name, "not the header of this object", 0)
        for pos in range(64, 64 + 112 * count, 112):
            part = struct.unpack_from(PART, data, pos)
            counts = self.parts.get(part[:2], {}).get(part[5])
            if counts and counts[6] == number:
                need(counts == part[:6] + (number,) + part[7:], name, "not the part that its manifest states", pos)
                self.part(name, data, part)
        need(sha256(data) == digest, name, "not the bytes that its manifest states")
        self.bytes += length
    def part(self, name, data, part):
        where, count, next_offset, pos, at = part[:2], part[2], part[3], part[7], part[8]
        need(sha256(data[pos:pos + 96 * count]) == part[10], name, "not the batch table that its part states", pos)
        for leaf in range(part[5], part[5] + count):
            first, records, form, _, _, _, zero, digest, salt, size, bits = struct.unpack_from(ROW, data, pos)
            end = first + (bits & 0x7FFFFFFF) + 1
            need((form, zero) == (1, 0) and first >= next_offset and 0 < records <= end - first and
                 (leaf > part[5] or first == part[3]), name, f"the row of offset {first} is wrong", pos)
            if bits >> 31:
                stated = [r[4] for r in self.redactions if r[:2] == where and r[2] <= first and end <= r[3]]
                need(stated and not size and not any(salt), name, f"offset {first} is gone, and not redacted", pos)
                self.redacted.append((where, first, end, stated[0]))
            else: need(sha256(salt, data[at:at + size]) == digest, name, f"offset {first}: not what was stored", at)
            self.rows.setdefault(where, {})[leaf] = (first, end, sha256(b"\0", data[pos:pos + 72]))
            next_offset, pos, at = end, pos + 96, at + size
        need(next_offset == part[4] and at == part[8] + part[9], name, "offsets or lengths of a part are wrong", pos)
    def partition(self, where, keys):
        place, manifest = f"{where[0].hex()}/{where[1]}", f"manifest/{len(self.tree.leaves):016x}"
        (next_offset, end, size), rows = self.partitions[where], self.rows.get(where, {})
        gone, count, frontier, *_ = self.retired.get(where, (next_offset, 0, []))
        most, next_offset, at = max({0} | self.reached.get(where, set())), max(gone, next_offset), f"topics/{place}/"
        data = b"".join(self.read(at + tile_name(0, i, min(i + 256, most))) for i in range(0, count, 256))
        left = [data[i:i + 32] for i in range(0, 32 * count, 32)]
        need(Tree(left).frontier == frontier, Incarnation.at, "not the leaves of what was retired")
        need(sorted(rows) == list(range(count, size)), manifest, f"leaves of {place} are missing")
        for first, last, _ in map(rows.get, range(count, size)):
            need(first >= next_offset, manifest, f"{place}: offset {first} comes twice")
            self.gaps += [(where, next_offset, first)] if first > next_offset else []
            next_offset = last
        need(next_offset == end or size == 0, manifest, f"{place} ends at {next_offset}, not {end}")
        tree = Tree(left + [rows[i][2] for i in range(count, size)])
        for name, at, root in self.history.get(where, []):
            need(at <= size and tree.roots[at] == root, name, f"another tree of {place} at {at} batches")
        self.tiles(f"topics/{place}/", tree, self.reached.get(where, ()))
        for at in self.reached.get(where, ()):
            name = f"topics/{place}/checkpoint/{at:020d}"
            *note, signers = open_note(name, self.read(name), keys)
            need(note == [f"{self.cluster}/{self.name}/{place}", at, tree.roots[at]], name, "a note of another tree")
            need(any(signing <= signers for signing in self.signing if signing), name, "a signature is missing")
    def tiles(self, folder, tree, sizes):
        for name, wanted in tree.tiles(sizes):
            found = self.read(folder + name)
            pos = next((i for i, byte in enumerate(wanted) if found[i:i + 1] != bytes([byte])), len(wanted))
            need(found == wanted, folder + name, "not the hashes of the tree", pos)
    def verify(self, trusted, last, root):
        until, last = last, last or self.newest()
        for number in range(1, last + 1):
            self.manifest(number)
            name, signing, before = f"root/{number:016x}", self.signing[-1], self.signing[max(0, number - 2)]
            origin, size, signed, signers = open_note(name, self.read(name), trusted | set(self.keys))
            self.cluster, right = origin[:-38], signed == self.tree.roots[number]
            need(size == number and origin == f"{self.cluster}/{self.name}/root", name, "not the note of this root")
            need(right or not signers & trusted, f"manifest/{number:016x}", "not what its root signs")
            need(right and signing <= signers and before & signers, name, "another tree, or a signature is missing")
            trusted = trusted | signing if signers & trusted else trusted
        need(signed == root if root else signers & trusted, name, "no signature by a key that is believed")
        self.cluster_file(self.first_keys)
        self.tiles("", self.tree, range(1, last + 1))
        for stated in sorted(self.objects.values()): self.pack(*stated)
        for where in sorted(self.partitions): self.partition(where, set(self.keys))
        for name in sorted(self.files - self.expected) * (not until): self.leftover(name, f"manifest/{last + 1:016x}")
        return trusted
    def cluster_file(self, keys):       # is not believed, but must say what is proven
        said, name = json.loads(text := self.read("cluster.json").decode()), "cluster.json"
        parent = {"incarnation": self.parent[0].hex(), "sequence": self.parent[1]} if any(self.parent[0]) else None
        wanted = {"evlog": "archive", "format": 1, "cluster": self.cluster[6:], "incarnation": self.name}
        wanted |= {"parent": parent, "made": said["made"], "keys": said["keys"]}
        kinds, texts = {"ed25519": 1, "ecdsa-p256": 2}, [(one["kind"], one["public"]) for one in said["keys"]]
        need(text == json.dumps(wanted, separators=(",", ":")) + "\n" and keys == [
            (kinds[kind], key) for kind, pem in texts for _, key in read_keys(name, pem)], name, "says something else")
    def leftover(self, name, begun):        # of a round that broke off, or is under way: it does not count
        data = self.read(name).ljust(96, b"\0")
        made_in, kind, sequence, first = struct.unpack_from("<16x16s4xIQ32xq", data)
        stem = f"/{sequence:016x}" if kind == 1 else f"/{first:020d}"
        right = name == begun and struct.unpack_from("<32xQ", data)[0] == int(begun[9:], 16) or \
            f"{stem}-{sha256(self.read(name)).hex()[:16]}{'.seg' * (kind == 2)}" == name[name.rindex("/"):]
        under_way = begun in self.files and re.match("tile/|topics/[^/]+/[^/]+/(tile|checkpoint)/", name)
        need(under_way or right and made_in.hex() == self.name, name, "no root covers it")

def read_keys(name, pem):
    ders = [decode(name, "".join(text.split())) for text in
            re.findall("-----BEGIN PUBLIC KEY-----\n([^-]+)\n-----END PUBLIC KEY-----\n", pem)]
    return [(1, der[12:]) if der[:12] == SPKI[1] else (2, der) for der in ders]     # (kind, bytes)
def audit(folder, keys, incarnation=None, since=None):
    there = {name: Incarnation(folder, name) for name in os.listdir(folder) if re.fullmatch("[0-9a-f]{32}", name)}
    seen = open_note(since, open(since, "rb").read(), keys) if since else None
    heads = set(there) - {one.read(f"manifest/{1:016x}")[96:112].hex() for one in there.values()}
    need(incarnation or len(heads) == 1, folder, f"--incarnation must say which: {sorted(heads)}")
    name, last, root, chain, found = incarnation or heads.pop(), None, None, [], []
    while name.strip("0"):
        need(name in there, f"manifest/{1:016x}", f"goes on from {name}, which is not there")
        chain.insert(0, (one := there[name], last, root))
        made_ms, = struct.unpack_from("<Q", one.read(f"manifest/{last or one.newest():016x}"), 56)
        parent, last, root = struct.unpack_from("<16sQ32s", one.read(f"manifest/{1:016x}"), 96)
        if (name := parent.hex()) in there: there[name].later = made_ms
    for one, last, root in chain:
        keys = one.verify(keys, last, root)
        if seen and seen[0] == f"{one.cluster}/{one.name}/root":
            need(one.tree.roots[seen[1]:seen[1] + 1] == [seen[2]], since, "another tree, or a later one, was there")
            seen = None
        found.append({"incarnation": one.name, "root": len(one.signing), "complete_through": one.cut, "gaps": one.gaps,
                      "redacted": one.redacted, "retired": [(*where, one.partitions[where][0], what[0], *what[3:])
                                                            for where, what in one.retired.items()],
                      "batches": sum(map(len, one.rows.values())), "bytes": one.bytes})
    need(not seen, since, "is of another archive")
    return found

def main():
    args, names = dict(zip(sys.argv[1::2], sys.argv[2::2])), ["--key", "--archive", "--since", "--incarnation"]
    unread = [f"{args[name]}: cannot be read" for name in names[:3] if not os.access(args.get(name, "."), os.R_OK)]
    if unread or len(sys.argv) % 2 == 0 or not set(names[:2]) <= set(args) <= set(names):
        return print(*unread or [__doc__], sep="\n", file=sys.stderr) or 2
    try:
        keys = set(read_keys(args["--key"], open(args["--key"], encoding="ascii").read()))
        said = {"proven": True, "incarnations": audit(args["--archive"], keys, *map(args.get, names[3:1:-1]))}
    except Exception as bad:        # any sentence of the format that does not hold
        where = bad.args if isinstance(bad, Bad) else (Incarnation.at, None, f"malformed: {bad!r}")
        said = {"proven": False, "object": where[0], "position": where[1], "reason": where[2]}
    print(json.dumps(said, default=bytes.hex))
    return 0 if said["proven"] else 8
if __name__ == "__main__": sys.exit(main())
