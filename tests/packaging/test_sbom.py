# SPDX-License-Identifier: Apache-2.0
"""The documents of `make sbom` name every library that programs and libraries of evlog have in them or load, with its
version and licence, and nothing else. What is linked in is held against the symbols of the program and of the archives
on the linker's command line; what is linked to, against the dynamic linker."""
import functools
import json
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / os.environ.get("OUT", "build")
FILES = {"evlog-broker": ["bin/evlogd"], "evlog-tools": ["bin/evlog", "bin/evlog-audit"],
         "libevlog": ["lib/libevlog.so.1"], "libevlog-sqlite": ["lib/libevlog-sqlite.so.1"],
         "libevlog-postgres": ["lib/libevlog-postgres.so.1"]}
ALL = [(name, file) for name, files in FILES.items() for file in files]
# What each link takes along by itself: the start of a program, and the compiler's own functions.
COMPILER = {"libc6-dev", "libgcc-12-dev"}
# The same library under another name, or from another Debian.
OTHER_NAMES = {"libcurl.so.4"}


def run(*command, check=True):
    return subprocess.run(list(map(str, command)), check=check, text=True, capture_output=True, cwd=ROOT,
                          env={**os.environ, "LC_ALL": "C"}).stdout


@functools.cache
def installed():
    """{file: package}, of libraries and objects"""
    found = {}
    for path in pathlib.Path("/var/lib/dpkg/info").glob("*.list"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if re.search(r"\.(so[.\d]*|a|o)$", line):
                found[line] = path.name.removesuffix(".list").split(":")[0]
    return found


def owner(path):
    """The Debian package of a file."""
    real = os.path.realpath(path)
    return next(installed()[name] for name in (path, real, real.removeprefix("/usr")) if name in installed())


@pytest.fixture(scope="module")
def documents():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    subprocess.run(["make", "sbom", f"OUT={OUT.relative_to(ROOT)}"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
                   env=environment)
    return {name: json.loads((OUT / "sbom" / f"{name}.spdx.json").read_text(encoding="utf-8")) for name in FILES}


def related(document, file, kind):
    """Debian packages that the program or library has this relation to."""
    names = {package["SPDXID"]: package["name"] for package in document["packages"]}
    own = f"SPDXRef-{pathlib.Path(file).name}"
    return {names[other] for relation in document["relationships"] if relation["relationshipType"] == kind
            for one, other in [(relation["spdxElementId"], relation["relatedSpdxElement"])] if one == own}


def later(document, file):
    names = {package["SPDXID"]: package["name"] for package in document["packages"]}
    return {names[relation["spdxElementId"]] for relation in document["relationships"]
            if relation["relationshipType"] == "OPTIONAL_DEPENDENCY_OF" and
            relation["relatedSpdxElement"] == f"SPDXRef-{pathlib.Path(file).name}"}


def defined(path):
    """Symbols with code or data in a file or archive."""
    return set(re.findall(r"^[0-9a-f]+ [A-Zu] (\S+)$", run("nm", "--defined-only", path), re.MULTILINE))


def archives(file):
    """Static libraries that the linker is told to look into for this file: all with -static, else those named so."""
    built = OUT.relative_to(ROOT)
    parts = [f"--what-if={part}" for part in (built / "lib/libel_core.a", built / "lib/libevlog.a",
                                              *ROOT.glob("client/**/*.map"), ROOT / "client/libevlog.map")]
    parts = [part.replace(f"{ROOT}/", "") for part in parts]
    command = next(line for line in run("make", "-n", "V=1", *parts, f"OUT={built}", built / file).splitlines()
                   if " -o " in line and f"-o {built / file} " in line)
    names = re.findall(r" -l(\S+)", command)
    wanted = [f"lib{name}.a" for name in names] if " -static " in command else \
        [name.removeprefix(":") for name in names if name.startswith(":")]
    paths = [run("gcc", f"-print-file-name={name}").strip() for name in wanted]
    assert all(path.startswith("/") for path in paths), paths
    scripts = [path for path in paths if pathlib.Path(path).read_bytes()[:2] == b"/*"]
    return [path for path in paths if path not in scripts] + \
        [path for script in scripts for path in re.findall(r"/\S+\.a", pathlib.Path(script).read_text())]


@pytest.mark.parametrize("name, file", ALL)
def test_what_is_linked_to_is_named(documents, name, file):
    said = run("ldd", OUT / file, check=False)
    paths = [path for path in re.findall(r"=> (/\S+) \(", said) if not path.startswith(str(OUT.resolve()))]
    assert paths or "-audit" in file
    document = documents[name]
    static = set().union(*(related(document, other, "STATIC_LINK") for other in FILES[name]))
    optional = set().union(*(later(document, other) for other in FILES[name]))
    named = {package["name"] for package in document["packages"]} - {pathlib.Path(other).name for other in FILES[name]}
    wanted = {owner(path) for path in paths}
    assert wanted <= named
    if len(FILES[name]) == 1:
        assert named == wanted | static | optional, "something is named that nothing has"
    asked = {owner(path) for path in paths
             if os.path.basename(path) in re.findall(r"NEEDED.*\[(\S+)\]", run("readelf", "-d", OUT / file))}
    assert related(document, file, "DYNAMIC_LINK") == asked


@pytest.mark.parametrize("name, file", ALL)
def test_what_is_linked_in_is_named(documents, name, file):
    named = related(documents[name], file, "STATIC_LINK")
    has = defined(OUT / file)
    wanted = set()
    for path in archives(file):
        own = {symbol for symbol in defined(path) if not symbol.startswith("_")}
        if own & has:
            wanted.add(owner(os.path.realpath(path)))
    assert wanted | COMPILER == named | COMPILER
    assert ("libsodium-dev" in named) == (file == "bin/evlog-audit")
    assert ("liburing-dev" in named) == (file == "bin/evlogd")


@pytest.mark.parametrize("name, file", ALL)
def test_what_may_be_loaded_is_named(documents, name, file):
    strings = set(re.findall(rb"\0(lib[\w-]+\.so\.\d+)(?=\0)", (OUT / file).read_bytes()))
    asked = set(re.findall(r"(?:NEEDED|SONAME).*\[(\S+)\]", run("readelf", "-d", OUT / file)))
    cache = dict(re.findall(r"^\s+(\S+) \(libc6,x86-64\S*\) => (\S+)$", run("/sbin/ldconfig", "-p"), re.MULTILINE))
    loaded = {string.decode() for string in strings} - asked - OTHER_NAMES
    loaded = {so for so in loaded if so.startswith(("libcurl", "libpq")) or file != "bin/evlog-audit"}
    assert {owner(cache[so]) for so in loaded} == later(documents[name], file)


@pytest.mark.parametrize("name", FILES)
def test_each_has_its_version_licence_and_source(documents, name):
    document = documents[name]
    texts = {info["licenseId"]: info["extractedText"] for info in document["hasExtractedLicensingInfos"]}
    references = set()
    for package in document["packages"]:
        references |= set(re.findall(r"LicenseRef-[\w.-]+", package["licenseDeclared"]))
        assert re.fullmatch(r"[\w.+() -]+", package["licenseDeclared"]), package
        if not package["SPDXID"].startswith("SPDXRef-deb-"):
            assert (package["versionInfo"], package["licenseDeclared"]) == ("0.1.0", "Apache-2.0")
            continue
        assert package["versionInfo"] == run("dpkg-query", "-W", "-f=${Version}", package["name"]), package
        assert package["externalRefs"][0]["referenceLocator"].startswith("pkg:deb/debian/"), package
        assert package["sourceInfo"].startswith("source package "), package
    assert references == set(texts)
    assert all(len(text) > 10 for text in texts.values())
    known = {package["SPDXID"] for package in document["packages"]} | {"SPDXRef-DOCUMENT"}
    assert {end for relation in document["relationships"]
            for end in (relation["spdxElementId"], relation["relatedSpdxElement"])} == known


def test_the_same_build_has_the_same_documents(documents, tmp_path):
    told = []
    for folder in (tmp_path / "one", tmp_path / "other"):
        subprocess.run(["python3", "packaging/sbom.py", OUT, "0.1.0", folder], cwd=ROOT, check=True,
                       env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
        told.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert told[0] == told[1] and len(told[0]) == len(FILES)
    assert b"2023-11-14T22:13:20Z" in told[0]["libevlog.spdx.json"]
