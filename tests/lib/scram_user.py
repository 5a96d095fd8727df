# SPDX-License-Identifier: Apache-2.0
"""Users as AlterUserScramCredentials makes them, with all that a broker then knows of their passwords."""
import hashlib
import hmac
import os
import socket
import struct


def compact(data):
    assert len(data) < 127
    return bytes([len(data) + 1]) + data


def make_user(port, name, password, bits=256):
    """SCRAM-SHA-256 or 512, by a request of version 0 with one credential.

    returns what is secret of it: salt, StoredKey and ServerKey (RFC 5802)"""
    kind, salt = f"sha{bits}", os.urandom(16)
    salted = hashlib.pbkdf2_hmac(kind, password.encode(), salt, 4096)
    mechanism = {256: 1, 512: 2}[bits]
    credential = compact(name.encode()) + struct.pack(">bi", mechanism, 4096) + compact(salt) + compact(salted) + b"\0"
    request = struct.pack(">hhihx", 51, 0, 7, -1) + b"\1\2" + credential + b"\0"
    with socket.create_connection(("127.0.0.1", port), timeout=60) as conn:
        conn.sendall(struct.pack(">i", len(request)) + request)
        answer = b""
        while len(answer) < 4 or len(answer) < 4 + struct.unpack(">i", answer[:4])[0]:
            piece = conn.recv(4096)
            assert piece
            answer += piece
    # correlation id, tags, throttle time, one result: its name and its error code
    assert answer[14:].startswith(compact(name.encode()) + b"\0\0"), answer
    client_key = hmac.new(salted, b"Client Key", kind).digest()
    return salt, hashlib.new(kind, client_key).digest(), hmac.new(salted, b"Server Key", kind).digest()
