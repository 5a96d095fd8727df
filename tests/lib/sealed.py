# SPDX-License-Identifier: Apache-2.0
"""A second reader of sealed data and of key stores, made from docs/format.md alone."""
import base64
import json

from aes_gcm import open_sealed

STATES = ("live", "disabled", "destroyed")
MAGIC = b"\x89evseal\x01"


def _id_bytes(text):
    return base64.urlsafe_b64decode(text + "==")


def _bind(part):
    return (2**32 - 1).to_bytes(4, "big") if part is None else len(part).to_bytes(4, "big") + part


def _unwrap(key, wrap, aad):
    return open_sealed(key, base64.b64decode(wrap["n"]), base64.b64decode(wrap["c"]), aad)


class KeyStore:
    def __init__(self, folder):
        self.folder = folder
        self.root = json.loads((folder / "store").read_text())
        master = bytes.fromhex(open(self.root["master"]).read().strip())
        self.id = _id_bytes(self.root["id"])
        self.generations = {g["g"]: _unwrap(master, g, b"evlog store 1\0" + self.id + g["g"].to_bytes(8, "big"))
                            for g in self.root["generations"]}

    def key(self, name):
        """(data key, subject) of a key's id."""
        file = json.loads((self.folder / "keys" / name).read_text())
        aad = b"evlog key 1\0" + self.id + name.encode() + b"\0"
        for number in (file["g"], STATES.index(file["state"]), file["until"]):
            aad += number.to_bytes(8, "big")
        text = _unwrap(self.generations[file["g"]], file, aad)
        return text[:32], text[32:]


def aad(key_id, key, event_id, path):
    parts = [None if part is None else part.encode() for part in (key, event_id, path)]
    return b"evlog seal 1\0" + key_id + b"".join(_bind(part) for part in parts)


def open_field(data_key, field, key, event_id, path):
    """What was sealed in {"$sealed": {...}}."""
    box = field["$sealed"]
    assert list(field) == ["$sealed"] and sorted(box) == ["c", "k", "n", "v"] and box["v"] == 1
    text = _unwrap(data_key, box, aad(_id_bytes(box["k"]), key, event_id, path))
    assert len(text) % 16 == 0
    return json.loads(text)


def open_bytes(data_key, data, key, event_id):
    """What was sealed as a whole."""
    assert data[:8] == MAGIC
    return open_sealed(data_key, data[24:36], data[36:], aad(data[8:24], key, event_id, None))
