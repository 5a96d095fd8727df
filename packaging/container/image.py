#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An image of evlogd for container runtimes, as an OCI archive, from evlog's Debian packages and what they need.

usage: image.py VERSION PACKAGES IMAGE

PACKAGES is the folder with evlog-broker_*.deb and evlog-tools_*.deb, IMAGE the archive to write. There is neither shell
nor package manager in it: libraries, evlogd, evlog, evlog-audit, the certificates of public CAs, and one user. Needs
neither root nor a container runtime: apt fetches the packages, of the distribution that runs here, checked. From
the same packages comes the same image; SOURCE_DATE_EPOCH is the time of everything in it.
"""
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

OWN = ["evlog-broker", "evlog-tools"]
# Beside what they depend on: archives in buckets, and what a system tells of itself. Of these the files alone.
MORE = ["libcurl3-gnutls"]
FILES_ALONE = ["base-files", "ca-certificates"]
# Makes the user when a package is installed; here it is in FILES.
NOT_HERE = {"systemd", "systemd-standalone-sysusers", "systemd-sysusers"}
UID = 10001
DATA = "var/lib/evlog"
FILES = {
    "etc/passwd": f"root:x:0:0:root:/:/usr/sbin/nologin\nevlog:x:{UID}:{UID}:evlog:/{DATA}:/usr/sbin/nologin\n",
    "etc/group": f"root:x:0:\nevlog:x:{UID}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
}
# (mode, owner)
FOLDERS = {DATA: (0o700, UID), "tmp": (0o1777, 0), "proc": (0o555, 0), "sys": (0o555, 0), "dev": (0o755, 0)}
LINKS = {name: f"usr/{name}" for name in ("bin", "lib", "lib64", "sbin")}
CERTIFICATES = "usr/share/ca-certificates/"
LEFT_OUT = re.compile(r"usr/share/(man|info|locale|lintian|bug|base-files|doc/(?!.*/copyright$))|etc/(dpkg|issue)|"
                      r"lib/systemd|usr/lib/(systemd|sysusers\.d)|usr/sbin/|usr/share/doc$")
SECOND_NS = 1_000_000_000


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, env={**os.environ, "LC_ALL": "C"}, **more).stdout


# --- which packages --------------------------------------------------------------------------------------------------

def depends(control):
    """The first names of each group of Depends and Pre-Depends."""
    groups = re.findall(r"^(?:Pre-)?Depends: (.*)$", control, re.MULTILINE)
    return [re.match(r"[^\s:(|]+", group.strip())[0] for line in groups for group in line.split(",")]


def closure(names):
    """All packages that are needed, by name."""
    found, waiting = set(), set(names)
    while waiting:
        found |= waiting
        shown = run("apt-cache", "show", "--no-all-versions", *sorted(waiting)).decode()
        waiting = set(depends(shown)) - found - NOT_HERE
    return sorted(found)


def packages(own):
    """The .deb files of all."""
    wanted = [name for deb in own for name in depends(run("dpkg-deb", "-f", deb).decode())]
    names = closure({*MORE, *wanted} - {*OWN} - NOT_HERE) + FILES_ALONE
    with tempfile.TemporaryDirectory() as folder:
        run("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *names, cwd=folder)
        files = sorted(pathlib.Path(folder).glob("*.deb"))
        assert len(files) == len(names), (files, names)
        yield from [*files, *own]


# --- the layer -------------------------------------------------------------------------------------------------------

class Layer:
    """{path: (entry of the archive, content)}; written in the order of paths, so that folders come first."""

    def __init__(self, when):
        self.when = when
        self.entries = {}

    def put(self, path, kind, mode, content=None, link="", owner=0):
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode, entry.linkname, entry.mtime = kind, mode, link, self.when
        entry.uid = entry.gid = owner
        entry.size = len(content or b"")
        self.entries[path] = (entry, content)

    def file(self, path, content, mode=0o644):
        self.put(path, tarfile.REGTYPE, mode, content)

    def folder(self, path, mode=0o755, owner=0):
        if path not in self.entries and path != ".":
            self.folder(os.path.dirname(path) or ".")
            self.put(path, tarfile.DIRTYPE, mode, owner=owner)

    def package(self, deb):
        """Its files, each below usr, and what scanners of images read."""
        with tarfile.open(fileobj=io.BytesIO(run("dpkg-deb", "--fsys-tarfile", deb))) as tar:
            for entry in tar:
                path = place(entry.name)
                if entry.isdir() or LEFT_OUT.match(path):
                    continue
                self.folder(os.path.dirname(path) or ".")
                if entry.issym():
                    self.put(path, tarfile.SYMTYPE, 0o777, link=entry.linkname)
                else:    # a hard link is extracted as what it is a link to
                    self.file(path, tar.extractfile(entry).read(), entry.mode & 0o755)
        name = run("dpkg-deb", "-f", deb, "Package").decode().strip()
        self.folder("var/lib/dpkg/status.d")
        self.file(f"var/lib/dpkg/status.d/{name}", run("dpkg-deb", "-f", deb))

    def finish(self):
        for name, target in LINKS.items():
            self.put(name, tarfile.SYMTYPE, 0o777, link=target)
        for path, (mode, owner) in FOLDERS.items():
            self.entries.pop(path, None)
            self.folder(path, mode, owner)
        for path, text in FILES.items():
            self.folder(os.path.dirname(path))
            self.file(path, text.encode())
        bundle = [content for path, (_, content) in sorted(self.entries.items())
                  if path.startswith(CERTIFICATES) and content is not None]
        self.folder("etc/ssl/certs")
        self.file("etc/ssl/certs/ca-certificates.crt", b"".join(bundle))

    def tar(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for path in sorted(self.entries, key=lambda path: path.split("/")):
                entry, content = self.entries[path]
                tar.addfile(entry, io.BytesIO(content) if content is not None else None)
        return out.getvalue()


def place(name):
    """Where a package's file lies in the image: lib and its like are links into usr."""
    path = os.path.normpath(name).lstrip("/")
    return f"usr/{path}" if path.split("/")[0] in LINKS else path


# --- the image -------------------------------------------------------------------------------------------------------

def config(version, architecture, layer, created):
    return {
        "architecture": architecture, "os": "linux", "created": created,
        "config": {
            "User": f"{UID}:{UID}",
            "Env": ["PATH=/usr/bin"],
            "Entrypoint": ["/usr/bin/evlogd", f"--data=/{DATA}", "--listen=0.0.0.0:9092", "--http=0.0.0.0:8080"],
            "Cmd": ["--advertised-address=localhost"],
            "WorkingDir": "/",
            "ExposedPorts": {"9092/tcp": {}, "8080/tcp": {}},
            "Volumes": {f"/{DATA}": {}},
            "StopSignal": "SIGTERM",
            "Labels": {"org.opencontainers.image.title": "evlog", "org.opencontainers.image.version": version,
                       "org.opencontainers.image.licenses": "Apache-2.0"},
            "Healthcheck": {"Test": ["CMD", "/usr/bin/evlog", "check", "ready"], "Interval": 10 * SECOND_NS,
                            "Timeout": 5 * SECOND_NS, "StartPeriod": 60 * SECOND_NS, "Retries": 3},
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created": created, "created_by": "packaging/container/image.py"}],
    }


def write(version, layer, when, image):
    """The layout of OCI in one tar, which runtimes load."""
    architecture = run("dpkg", "--print-architecture").decode().strip()
    created = run("date", "-u", "-d", f"@{when}", "+%Y-%m-%dT%H:%M:%SZ").decode().strip()
    kind = "application/vnd.oci.image"
    content = Layer(when)
    content.folder("blobs/sha256")

    def blob(media, data):
        digest = hashlib.sha256(data).hexdigest()
        content.file(f"blobs/sha256/{digest}", data)
        return {"mediaType": f"{kind}.{media}", "digest": f"sha256:{digest}", "size": len(data)}

    manifest = {
        "schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json",
        "config": blob("config.v1+json", json.dumps(config(version, architecture, layer, created)).encode()),
        "layers": [blob("layer.v1.tar+gzip", gzip.compress(layer, 6, mtime=0))],
    }
    entry = blob("manifest.v1+json", json.dumps(manifest).encode())
    entry["annotations"] = {"org.opencontainers.image.ref.name": version,
                            "io.containerd.image.name": f"docker.io/library/evlog:{version}"}
    entry["platform"] = {"architecture": architecture, "os": "linux"}
    content.file("index.json", json.dumps({"schemaVersion": 2, "mediaType": f"{kind}.index.v1+json",
                                           "manifests": [entry]}).encode())
    content.file("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    image.write_bytes(content.tar())


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__.split("\n\n")[1])
    version, folder, image = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    own = [next(iter(sorted(folder.glob(f"{name}_{version}_*.deb"))), None) for name in OWN]
    if None in own:
        sys.exit(f"image: the packages {' and '.join(OWN)} {version} are not in {folder}: make deb")
    when = int(os.environ.get("SOURCE_DATE_EPOCH") or 0)
    layer = Layer(when)
    for deb in packages(own):
        layer.package(deb)
    layer.finish()
    image.parent.mkdir(parents=True, exist_ok=True)
    write(version, layer.tar(), when, image)
    print(f"{image}: {image.stat().st_size >> 20} MiB; podman load -i, docker load -i")


if __name__ == "__main__":
    main()
