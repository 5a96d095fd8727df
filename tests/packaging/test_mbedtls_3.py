# SPDX-License-Identifier: Apache-2.0
"""evlog also builds with Mbed TLS 3.6, which later Debians have, and its TLS is as safe: unit and integration tests.

Its source comes with a crate of Rust's registry, the only one of those that the other tests use that has it.
"""
import os
import pathlib
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CRATE = ("mbedtls-rs-sys", "0.3.1")    # brings 3.6.5
MANIFEST = f"""[package]
name = "source"
version = "0.0.0"
edition = "2021"

[dependencies]
{CRATE[0]} = "={CRATE[1]}"
"""


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], check=False, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    assert done.returncode == 0, f"{command}: {done.stdout[-4000:]}"
    return done.stdout


def get_source(folder):
    (folder / "src").mkdir(parents=True)
    (folder / "src/lib.rs").touch()
    (folder / "Cargo.toml").write_text(MANIFEST, encoding="ascii")
    run("cargo", "vendor", "vendored", cwd=folder)
    source = folder / "vendored" / CRATE[0] / "mbedtls"
    assert '"Mbed TLS 3.6.' in (source / "include/mbedtls/build_info.h").read_text(encoding="utf-8")
    return source


def make_libraries(source):
    """Its own Makefile wants files of a part that the crate leaves out."""
    def compile_one(path):
        run("cc", "-O2", "-fPIC", "-I../include", "-I.", "-c", path.name, cwd=path.parent)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, (source / "library").glob("*.c")))
    for name in "libmbedtls.a", "libmbedx509.a":    # all of it is in the third, which the linker looks into last
        run("ar", "rcs", source / "library" / name)
    run("ar", "rcs", "libmbedcrypto.a", *(path.name for path in (source / "library").glob("*.o")),
        cwd=source / "library")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of what is built with it."""
    if shutil.which("cargo") is None:
        pytest.skip("the source of Mbed TLS 3.6 is got by cargo, which is not installed")
    folder = tmp_path_factory.mktemp("mbedtls")
    source = get_source(folder)
    make_libraries(source)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "OUT"))}
    out = folder / "build"
    run("make", "-s", "-C", ROOT, f"-j{os.cpu_count()}", f"OUT={out}", f"CFLAGS=-I{source}/include",
        f"LDFLAGS=-L{source}/library", "all", out / "bin/unit_core", env=environment)
    assert "libmbed" not in run("ldd", out / "bin/evlogd"), "linked with the system's as well"
    yield out
    shutil.rmtree(folder)


def test_its_unit_tests_pass(built):
    assert ", 0 failed" in run(built / "bin/unit_core").splitlines()[-1]


def test_brokers_and_clients_speak_tls_as_before(built):
    for folder in "compat", "integration":
        files = sorted((ROOT / "tests" / folder).glob("test_*tls.py"))
        assert files
        said = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files, cwd=ROOT,
                   env=os.environ | {"EVLOG_BIN": str(built / "bin")})
        assert " passed" in said and "skipped" not in said, said
