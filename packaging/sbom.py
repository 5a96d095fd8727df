#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What evlog's programs and libraries contain and need, for each package a document of SPDX 2.3 in JSON.

usage: sbom.py OUT VERSION FOLDER

OUT is the folder of the build. What is linked in is what the linker's map (OUT/map/NAME.map) names; what is linked to,
directly and by other libraries, is what the dynamic linker loads; what may be loaded later is the table LOADED, as far
as a program names it. Each of these files belongs to a Debian package, which has the version, and in its copyright file
the licences. Needs a Debian with what evlog was built from. SOURCE_DATE_EPOCH is the time that documents tell.
"""
import functools
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time
from urllib.parse import quote

# Documents, by the name of the package; a library's is for all that it is installed with.
DOCUMENTS = {
    "evlog-broker": ["bin/evlogd"],
    "evlog-tools": ["bin/evlog", "bin/evlog-audit"],
    "libevlog": ["lib/libevlog.so.1"],
    "libevlog-sqlite": ["lib/libevlog-sqlite.so.1"],
    "libevlog-postgres": ["lib/libevlog-postgres.so.1"],
}
# Libraries for dlopen(), when somebody asks for what they do.
LOADED = ["libcurl-gnutls.so.4", "libpq.so.5"]
# Names of licences in Debian's copyright files, and on SPDX's list.
LICENCES = {
    "apache-2": "Apache-2.0", "apache-2.0": "Apache-2.0", "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause", "curl": "curl", "expat": "MIT", "isc": "ISC", "mit": "MIT", "zlib": "Zlib",
    "postgresql": "PostgreSQL", "gpl-2": "GPL-2.0-only", "gpl-2+": "GPL-2.0-or-later", "gpl-2.0+": "GPL-2.0-or-later",
    "gpl-3": "GPL-3.0-only", "gpl-3+": "GPL-3.0-or-later", "lgpl-2": "LGPL-2.0-only", "lgpl-2+": "LGPL-2.0-or-later",
    "lgpl-2.1": "LGPL-2.1-only", "lgpl-2.1+": "LGPL-2.1-or-later", "lgpl-3": "LGPL-3.0-only",
    "lgpl-3+": "LGPL-3.0-or-later",
}


def run(*command):
    return subprocess.run(command, check=True, text=True, capture_output=True, env={**os.environ, "LC_ALL": "C"}).stdout


# --- which files -----------------------------------------------------------------------------------------------------

def linked_in(out, name):
    """Files outside of the tree that the linker took something from: members of archives, and objects for the start."""
    path = out / "map" / f"{name}.map"
    if not path.exists():
        sys.exit(f"sbom: {path} is not there: {name} was linked without it; remove it and make it again")
    text = path.read_text(encoding="utf-8")
    members = text.partition("Archive member included")[2].partition("Discarded input sections")[0]
    found = set(re.findall(r"^(/\S+\.a)\(", members, re.MULTILINE))
    return found | set(re.findall(r"^LOAD (/\S+\.o)$", text, re.MULTILINE))


def needed(path):
    """Names of the libraries that a file itself asks for."""
    return re.findall(r"\(NEEDED\).*\[(\S+)\]", run("readelf", "-d", path))


def linked_to(path):
    """{name of a library: file}, all that are loaded at the start."""
    if not needed(path):
        return {}
    return dict(re.findall(r"^\s+(\S+) => (/\S+) \(", run("ldd", path), re.MULTILINE))


@functools.cache
def cached_libraries():
    return dict(reversed(re.findall(r"^\s+(\S+) \(libc6,x86-64\S*\) => (\S+)$" if os.uname().machine == "x86_64" else
                                    r"^\s+(\S+) \(libc6\S*\) => (\S+)$", run("/sbin/ldconfig", "-p"), re.MULTILINE)))


def loaded_later(path):
    content = pathlib.Path(path).read_bytes()
    return {name: cached_libraries()[name] for name in LOADED if name.encode() + b"\0" in content}


# --- which packages --------------------------------------------------------------------------------------------------

OWNERS = {}    # file: package


def find_packages(files):
    """Fills OWNERS, for dpkg reads much for each question. /lib is /usr/lib, and lists of files have one of them."""
    names = {}
    for file in files:
        real = os.path.realpath(file)
        names |= {path: file for path in (file, real, real.removeprefix("/usr"), f"/usr{file}")}
    done = subprocess.run(["dpkg-query", "-S", *names], text=True, capture_output=True, check=False)
    for line in done.stdout.splitlines():
        packages, _, path = line.rpartition(": ")
        if path in names:
            OWNERS[names[path]] = packages.split(", ")[0]
    missing = [file for file in files if file not in OWNERS]
    if missing:
        sys.exit(f"sbom: of no Debian package: {' '.join(missing)}")


@functools.cache
def facts(package):
    form = "${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}"
    return run("dpkg-query", "-W", f"-f={form}", package).split("\t")


def distribution():
    text = pathlib.Path("/etc/os-release").read_text(encoding="utf-8")
    return dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text, re.MULTILINE))


# --- licences --------------------------------------------------------------------------------------------------------

def paragraphs(text):
    """Of a machine-readable copyright file: dictionaries of fields, each with its lines."""
    for block in re.split(r"\n\s*\n", text):
        fields = {}
        for line in block.splitlines():
            name, colon, value = line.partition(":")
            if line[:1] not in (" ", "\t", "#") and colon:
                last = fields[name] = [value.strip()]
            elif line[:1] in (" ", "\t") and fields:
                last.append(line.strip())
        yield fields


def reference(source, name):
    return "LicenseRef-" + re.sub(r"[^A-Za-z0-9.-]+", "-", f"{source}-{name}")


def expression(source, said, others):
    """The SPDX expression of a License field. Names that are not on SPDX's list go into others, {reference: name}."""
    words = []
    for word in re.split(r"(,\s*and\s+|,\s*or\s+|\s+and\s+|\s+or\s+|,\s*)", said):
        if re.fullmatch(r",?\s*(and|or)?\s*", word):
            words.append("OR" if "or" in word else "AND")
        elif word.lower() in LICENCES:
            words.append(LICENCES[word.lower()])
        else:
            others[reference(source, word)] = word
            words.append(reference(source, word))
    return f"({' '.join(words)})" if len(words) > 1 else words[0]


@functools.cache
def licences(package):
    """(SPDX expression, {reference: text})"""
    name, _, _, source, _ = facts(package)
    text = pathlib.Path(f"/usr/share/doc/{name}/copyright").read_text(encoding="utf-8")
    if not re.match(r"Format: \S+copyright-format/1.0", text):
        return reference(source, "copyright"), {reference(source, "copyright"): text}
    found, others, texts = set(), {}, {}
    for fields in paragraphs(text):
        said = fields.get("License")
        if not said:
            continue
        if len(said) > 1:
            texts.setdefault(said[0], "\n".join("" if line == "." else line for line in said[1:]))
        files = " ".join(fields.get("Files", [])).split()
        if any(not file.startswith("debian/") for file in files):
            found.add(expression(source, said[0], others))
    if not found:
        sys.exit(f"sbom: no licence is in the copyright file of {name}")
    whole = f"The file copyright of the Debian package {name} says: {{}}"
    return " AND ".join(sorted(found)), {ref: texts.get(said) or whole.format(said) for ref, said in others.items()}


# --- documents -------------------------------------------------------------------------------------------------------

def reference_of(package):
    return "SPDXRef-deb-" + re.sub(r"[^A-Za-z0-9.-]", "-", facts(package)[0])


class Document:
    def __init__(self, version):
        self.version = version
        self.packages, self.texts, self.relations = {}, {}, set()

    def relate(self, one, kind, other):
        self.relations.add((one, kind, other))

    def debian(self, package):
        """Its reference."""
        name, version, architecture, source, source_version = facts(package)
        system = distribution()
        declared, texts = licences(package)
        self.texts |= texts
        purl = (f"pkg:deb/{system['ID']}/{quote(name)}@{quote(version)}?arch={architecture}"
                f"&distro={system['ID']}-{system['VERSION_ID']}")
        self.packages[reference_of(package)] = {
            "SPDXID": reference_of(package), "name": name, "versionInfo": version,
            "supplier": f"Organization: {system['NAME']}", "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
            "sourceInfo": f"source package {source} {source_version}", "licenseConcluded": "NOASSERTION",
            "licenseDeclared": declared, "copyrightText": "NOASSERTION",
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                              "referenceLocator": purl}]}
        return reference_of(package)

    def own(self, name):
        """The reference of a program or library of evlog."""
        own = f"SPDXRef-{name}"
        self.packages[own] = {
            "SPDXID": own, "name": name, "versionInfo": self.version, "supplier": "Organization: evlog",
            "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseConcluded": "Apache-2.0",
            "licenseDeclared": "Apache-2.0", "copyrightText": "NOASSERTION",
            "primaryPackagePurpose": "LIBRARY" if ".so" in name else "APPLICATION",
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                              "referenceLocator": f"pkg:generic/evlog@{self.version}#{name}"}]}
        return own

    def add(self, out, path):
        name = pathlib.Path(path).name
        own = self.own(name)
        static, libraries, later = linked_in(out, name), linked_to(out / path), loaded_later(out / path)
        ours = {so for so, file in libraries.items() if os.path.realpath(file).startswith(f"{out.resolve()}/")}
        find_packages([*static, *later.values(), *(file for so, file in libraries.items() if so not in ours)])
        self.relate("SPDXRef-DOCUMENT", "DESCRIBES", own)
        for file in static:
            self.relate(own, "STATIC_LINK", self.debian(OWNERS[file]))
        references = {so: self.own(so) if so in ours else self.debian(OWNERS[file]) for so, file in libraries.items()}
        for holder, asks in [(own, out / path), *((references[so], file) for so, file in libraries.items())]:
            for so in set(needed(asks)) & set(references):
                if references[so] != holder:
                    self.relate(holder, "DYNAMIC_LINK", references[so])
        for file in later.values():
            self.relate(self.debian(OWNERS[file]), "OPTIONAL_DEPENDENCY_OF", own)

    def text(self, name):
        when = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH") or time.time()))
        content = {
            "packages": [self.packages[ref] for ref in sorted(self.packages)],
            "relationships": [{"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
                              for one, kind, other in sorted(self.relations)],
            "hasExtractedLicensingInfos": [{"licenseId": ref, "extractedText": text}
                                           for ref, text in sorted(self.texts.items())]}
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        head = {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
                "name": f"{name}-{self.version}",
                "documentNamespace": f"https://evlog.example/spdx/{name}-{self.version}-{digest}",
                "creationInfo": {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", when),
                                 "creators": [f"Tool: evlog-sbom-{self.version}"]}}
        return json.dumps(head | content, indent=1, ensure_ascii=False) + "\n"


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__.split("\n\n")[1])
    out, version, folder = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    for name, paths in DOCUMENTS.items():
        document = Document(version)
        for path in paths:
            document.add(out, path)
        (folder / f"{name}.spdx.json").write_text(document.text(name), encoding="utf-8")


if __name__ == "__main__":
    main()
