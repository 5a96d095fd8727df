# SPDX-License-Identifier: Apache-2.0
"""The image of `make container`: run without a container runtime (its layer unpacked, its command as process 1 in
namespaces as its user, with a root that can only be read and a volume for the data), and by podman. Needs root, and the
archive of Debian."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile

import pytest

from evlogd import wait_for

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
UNSHARE = ["unshare", "--mount", "--pid", "--ipc", "--net", "--fork", "--kill-child"]
VERSION = "0.1.0"
IMAGE = f"evlog:{VERSION}"
SECONDS = 60


class Image:
    def __init__(self, archive):
        with tarfile.open(archive) as tar:
            def blob(entry):
                return tar.extractfile(f"blobs/{entry['digest'].replace(':', '/')}").read()
            assert json.load(tar.extractfile("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
            index = json.load(tar.extractfile("index.json"))
            manifest = json.loads(blob(index["manifests"][0]))
            self.config = json.loads(blob(manifest["config"]))["config"]
            self.layers = [blob(layer) for layer in manifest["layers"]]

    def unpack(self, folder):
        folder.mkdir()
        for layer in self.layers:
            subprocess.run(["tar", "-xz", "--same-owner", "-p", "-C", folder], input=layer, check=True)


class Container:
    """One run of the image's command."""

    def __init__(self, image, root, volume):
        place, = image.config["Volumes"]
        self.uid, self.root = image.config["User"].split(":")[0], root
        self.process = subprocess.Popen(
            [*UNSHARE, "sh", HERE / "run_image.sh", root, volume, place.strip("/"), self.uid,
             *image.config["Entrypoint"], *image.config["Cmd"]], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env={"PATH": os.environ["PATH"]})

    def __enter__(self):
        self.said = []
        for line in self.process.stdout:
            self.said.append(line)
            if line.startswith("evlogd ready "):
                break
        assert self.said and self.said[-1].startswith("evlogd ready "), self.said    # else its output has ended
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.init = int(children.read_text(encoding="ascii"))
        return self

    def __exit__(self, *_):
        """Process 1 has another user since, and does not end with its parent."""
        if self.process.poll() is None:
            os.kill(self.init, signal.SIGKILL)
        self.process.communicate(timeout=SECONDS)

    def run(self, *command):
        """As its health check is run: (exit code, output)"""
        done = subprocess.run(["nsenter", "-t", str(self.init), "-m", "-n", "-p", "-i", "-r", "-S", self.uid, "-G",
                               self.uid, *command], text=True, capture_output=True, check=False,
                              env={"PATH": "/usr/bin", "LC_ALL": "C"})
        return done.returncode, done.stdout + done.stderr

    def stop(self, number):
        os.kill(self.init, number)
        said, _ = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, "".join(self.said) + said


def make_image(packages, archive):
    subprocess.run([sys.executable, ROOT / "packaging/container/image.py", VERSION, packages[0].parent, archive],
                   check=True, stdout=subprocess.DEVNULL, env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    return archive


@pytest.fixture(scope="module")
def archive(packages, tmp_path_factory):
    return make_image(packages, tmp_path_factory.mktemp("image") / "evlog.tar")


@pytest.fixture(scope="module")
def image(archive):
    return Image(archive)


@pytest.fixture
def unpacked(image, tmp_path):
    if os.geteuid() != 0 or subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("to run the image needs root and the right to make namespaces")
    root = tmp_path / "root"
    image.unpack(root)
    yield root
    shutil.rmtree(root)


def test_it_runs_as_a_user_on_a_root_that_is_read_alone(image, unpacked, tmp_path):
    volume = tmp_path / "volume"
    volume.mkdir(mode=0o700)
    os.chown(volume, int(image.config["User"].split(":")[0]), -1)
    health = image.config["Healthcheck"]["Test"]
    assert health[0] == "CMD"
    with Container(image, unpacked, volume) as container:
        status = pathlib.Path(f"/proc/{container.init}/status").read_text(encoding="utf-8")
        assert re.search(rf"^Uid:\t{container.uid}\t{container.uid}\t", status, re.M) and container.uid != "0"
        assert re.search(r"^CapEff:\t0+$", status, re.M) and re.search(r"^NoNewPrivs:\t1$", status, re.M), status
        mounts = pathlib.Path(f"/proc/{container.init}/mountinfo").read_text(encoding="utf-8")
        assert re.search(r"^\S+ \S+ \S+ \S+ / ro", mounts, re.M), mounts
        assert container.run(*health[1:])[0] == 0
        assert container.run("/usr/bin/evlog", "produce", "orders", "--create", "kept")[0] == 0
        code, said = container.stop(getattr(signal, image.config["StopSignal"]))
        assert code == 0 and "stopped" in said, said
    assert (volume / "journal").is_dir()
    with Container(image, unpacked, volume) as container:
        code, said = container.run("/usr/bin/evlog", "consume", "orders")
        assert code == 0 and "kept" in said, said
        os.kill(container.init, signal.SIGSTOP)
        assert container.run(*health[1:], "--timeout", "2s")[0] != 0, "one that stands still is healthy"
        os.kill(container.init, signal.SIGCONT)
        assert container.stop(signal.SIGTERM)[0] == 0


def test_nothing_is_in_it_that_evlogd_does_not_need(image, unpacked):
    programs = {path.name for path in (unpacked / "usr/bin").iterdir()}
    assert programs == {"evlogd", "evlog", "evlog-audit"}, programs
    executable = [path for path in unpacked.rglob("*") if path.is_file() and not path.is_symlink()
                  and path.stat().st_mode & 0o6000]
    assert not executable, "set-user-id"
    assert (unpacked / "etc/ssl/certs/ca-certificates.crt").read_text(encoding="ascii").count("BEGIN CERT") > 50
    named = json.loads((unpacked / "usr/share/evlog/sbom/evlog-broker.spdx.json").read_text(encoding="utf-8"))
    there = {path.name for path in (unpacked / "var/lib/dpkg/status.d").iterdir()}
    static = {relation["relatedSpdxElement"] for relation in named["relationships"]
              if relation["relationshipType"] == "STATIC_LINK"}
    wanted = {package["name"] for package in named["packages"]
              if package["SPDXID"] not in static and package["SPDXID"].startswith("SPDXRef-deb-")}
    assert wanted <= there, wanted - there


def test_the_same_packages_make_the_same_image(packages, archive, tmp_path):
    assert make_image(packages, tmp_path / "again").read_bytes() == archive.read_bytes()


def test_the_containerfile_installs_what_the_packages_need(packages):
    text = (ROOT / "packaging/container/Containerfile").read_text(encoding="utf-8")
    for package in packages:
        if package.name.startswith(("evlog-broker_", "evlog-tools_")):
            depends = subprocess.run(["dpkg-deb", "-f", package, "Depends"], check=True, text=True,
                                     capture_output=True).stdout
            for name in re.findall(r"(?:^|, )([a-z0-9.+-]+)", depends):
                assert name in text or name in ("libc6", "libgcc-s1", "systemd", "systemd-standalone-sysusers"), name


class Podman:
    """podman with images, volumes and containers of its own."""

    def __init__(self, folder):
        self.command = ["podman", "--root", folder / "root", "--runroot", folder / "run", "--tmpdir", folder / "tmp",
                            "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--runtime", "runc"]
        self.limits = ["--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096"]    # its own are not always allowed

    def tried(self, *args):
        return subprocess.run([*self.command, *args], text=True, capture_output=True, check=False,
                              timeout=2 * SECONDS)

    def __call__(self, *args):
        done = self.tried(*args)
        assert done.returncode == 0, f"podman {args}: {done.stdout}{done.stderr}"
        return done.stdout

    def wait_until_ready(self, name):
        wait_for(lambda: "evlogd ready" in self("logs", name), "evlogd is ready", SECONDS)


@pytest.fixture
def podman(archive):
    """With the image loaded; skips where podman may not run anything."""
    if os.geteuid() != 0 or shutil.which("podman") is None or shutil.which("runc") is None:
        pytest.skip("needs root, podman and runc")
    with tempfile.TemporaryDirectory(prefix="podman-", ignore_cleanup_errors=True) as folder:    # 50 characters at most
        run = Podman(pathlib.Path(folder))
        assert "evlog" in run("load", "-i", archive)
        tried = run.tried("run", "--rm", "--network=none", *run.limits, IMAGE, "--version")
        if tried.returncode != 0:
            pytest.skip(f"podman may not run anything here: {tried.stderr.strip()}")
        assert tried.stdout.split() == ["evlogd", VERSION]
        yield run
        run.tried("rm", "-f", "-a", "-t", "0")


@pytest.mark.parametrize("options", [[], ["--security-opt", "seccomp=unconfined"]], ids=["filtered", "unconfined"])
def test_podman_runs_it_as_the_manual_says(podman, options):
    args = ["--read-only", "--cap-drop=all", "--network=none", *podman.limits, *options, "-v", "data:/var/lib/evlog",
            "--health-cmd", '["/usr/bin/evlog","check","ready"]']
    for name in "first", "second":    # another container on the same volume
        podman("run", "-d", "--name", name, *args, IMAGE)
        podman.wait_until_ready(name)
        podman("healthcheck", "run", name)
        if name == "first":
            podman("exec", name, "/usr/bin/evlog", "produce", "orders", "--create", "kept")
        assert podman("exec", name, "/usr/bin/evlog", "consume", "orders") == "kept\n"
        podman("stop", "-t", str(SECONDS), name)
        assert podman("inspect", name, "--format", "{{.State.ExitCode}}") == "0\n"
        podman("rm", name)
