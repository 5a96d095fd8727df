# SPDX-License-Identifier: Apache-2.0
"""Shows that every tidy check can fail.

Goal: a check that finds nothing is worth something only if it finds what it is there for. Method: each check runs
over a small tree that breaks its rule, and must find it there, and over one that keeps it, and must find nothing. A
check without a case here fails the run.
"""
import os
import subprocess
import sys
import tempfile

import layers
import rules
import symbols
from tree import Tree

SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
HASH_SPDX = "# SPDX-License-Identifier: Apache-2.0\n"
ROWS = ("include/evlog : evlog\ninclude/core : -\nclient/core : core\nclient/format : core format\n"
        "broker/io : core\nbroker/net : core io api/local.h\ntests : *\n")


def function_of(lines):
    return "int f(int a,\n      int b)\n{\n" + "    a++;\n" * (lines - 2) + "}\n"


# check -> (files that break the rule, files that keep it)
TEXT_CASES = {
    layers.direct_includes: [
        ({"client/core/a.c": "#include <format/b.h>\n", "include/format/b.h": ""},
         {"client/format/a.c": "#include <format/b.h>\n", "include/format/b.h": ""}),
        ({"client/core/a.c": '#include "../../broker/io/io.h"\n', "broker/io/io.h": ""},
         {"broker/net/a.c": '#include "../io/io.h"\n', "broker/io/io.h": ""}),
        ({"broker/net/a.c": '#include "broker/api/other.h"\n', "broker/api/other.h": ""},
         {"broker/net/a.c": '#include "broker/api/local.h"\n', "broker/api/local.h": ""}),
        ({"client/core/a.c": "#include <core/absent.h>\n"}, {"client/core/a.c": "#include <stdio.h>\n"}),
        ({"include/core/a.h": "#include <evlog/event.h>\n", "include/evlog/event.h": ""},
         {"include/core/a.h": "#include <evlog/error.h>\n", "include/evlog/error.h": ""}),
    ],
    layers.folders_have_rows: [({"broker/extra/a.c": ""}, {"tests/extra/a.c": ""})],
    layers.no_cycles: [
        ({"include/core/a.h": "#include <core/b.h>\n", "include/core/b.h": "#include <core/c.h>\n",
          "include/core/c.h": "#include <core/a.h>\n"},
         {"include/core/a.h": "#include <core/b.h>\n#include <core/c.h>\n",
          "include/core/b.h": "#include <core/c.h>\n", "include/core/c.h": ""}),
    ],
    layers.third_party_in_one_place: [
        ({f"client/core/{name}.c": "#include <mbedtls/sha256.h>\n#include <stdio.h>\n" for name in "abc"},
         {f"client/core/{name}.c": "#include <mbedtls/sha256.h>\n#include <stdio.h>\n" for name in "ab"}),
    ],
    rules.spdx_line: [({"client/a.c": "int a;\n"}, {"client/a.c": SPDX}), ({"tests/check": "x\n"}, {"other": "x\n"})],
    rules.no_tabs: [({"client/a.h": "\tint a;\n"}, {"client/a.h": "    int a;\n"})],
    rules.no_trailing_blanks: [({"client/a.c": "int a; \n"}, {"client/a.c": "int a;\n"})],
    rules.line_columns: [({"client/a.c": "/" * 121 + "\n"}, {"client/a.c": "/" * 120 + "\n"})],
    rules.prose_columns: [
        ({"docs/a.md": "a " * 61}, {"docs/a.md": "a " * 60}),
        ({"docs/a.md": "```\nb\n```\n" + "a " * 61}, {"docs/a.md": "```\n" + "a " * 61 + "\n```\n| " + "a " * 61}),
    ],
    rules.file_lines: [
        ({"client/a.c": "\n" * 801}, {"client/a.c": "\n" * 800}),
        ({"client/a.c": "\n" * 810, rules.EXCEPTIONS: "file_lines client/a.c 805\n"},
         {"client/a.c": "\n" * 805, rules.EXCEPTIONS: "file_lines client/a.c 805\n"}),
        ({"client/a.c": "\n", rules.EXCEPTIONS: "file_lines client/a.c 805\n"}, {}),
    ],
    rules.function_lines: [
        ({"client/a.c": function_of(101)}, {"client/a.c": function_of(100)}),
        ({"client/a.c": "int z;\n\nstatic " + function_of(103), rules.EXCEPTIONS: "function_lines client/a.c:g 110\n"},
         {"client/a.c": "int z;\n\nstatic " + function_of(103), rules.EXCEPTIONS: "function_lines client/a.c:f 103\n"}),
    ],
    rules.nothing_unfinished: [
        ({"client/a.c": "/* " + "TO" + "DO: more */\n"}, {"client/a.c": 'char a[] = "/tmp/XXXXXX";\n'}),
        ({"docs/a.md": "FIX" + "ME\n"}, {"docs/a.md": "fixed\n"}),
    ],
    rules.faults_of_others: [
        ({"docs/security.md": "| CVE-2020-1 | a | b | `cve_2020_1.x_y` |\n"},
         {"docs/security.md": "| CVE-2020-1 | a | b | `cve_2020_1.x_y` |\n", "tests/a.c": "TEST(cve_2020_1, x_y)\n"}),
        ({"docs/security.md": "| CVE-2020-1 | a | b | - |\n"},
         {"docs/security.md": "| CVE-2020-1 | a | b | `test_cve_2020_1_x` |\n",
          "tests/a.py": "def test_cve_2020_1_x():\n"}),
        ({"docs/security.md": "\n", "tests/a.c": "TEST(cve_2020_1, x_y)\n"}, {"docs/security.md": "\n"}),
    ],
    rules.header_guards: [({"client/a.h": "int a;\n"}, {"client/a.h": "#ifndef A_H\n#define A_H\n#endif\n"})],
}

# check -> [(archive or output, C text that breaks the rule, its flags, C text that keeps it, its flags)]
MAIN = "int main(void) { return 0; }\n"
PIE = ["-fPIE", "-pie", "-Wl,-z,relro,-z,now,-z,noexecstack"]
SHARED = ["-fPIC", "-shared", "-Wl,-z,relro,-z,now,-z,noexecstack"]
OBJECT_CASES = {
    symbols.kernel_only_through_io: [
        ("lib/libel_storage.a", "#include <fcntl.h>\nint f(void) { return open(\"a\", O_RDONLY); }\n", [],
         "int el_open(void);\nint f(void) { return el_open(); }\n", []),
        ("lib/libel_net.a", "#include <time.h>\nlong f(void) { return time(0); }\n", ["-O2"],
         "long f(void) { return 1; }\n", ["-O2"]),
    ],
    symbols.heap_only_through_alloc: [
        ("lib/libel_client.a", "#include <stdlib.h>\nvoid *f(void) { return malloc(3); }\n", [],
         "void *el_malloc(int);\nvoid *f(void) { return el_malloc(3); }\n", []),
    ],
    symbols.waits_by_the_monotonic_clock: [
        ("lib/libel_server.a", "int sem_timedwait(void);\nint f(void) { return sem_timedwait(); }\n", [],
         "int sem_clockwait(void);\nint f(void) { return sem_clockwait(); }\n", []),
    ],
    symbols.exports_only_evlog: [
        ("lib/libevlog.so.1", "int el_hidden(void) { return 0; }\n", SHARED,
         "int evlog_open(void) { return 0; }\n", SHARED),
    ],
    symbols.programs_are_hardened: [
        ("bin/evlogd", MAIN, ["-no-pie", *PIE[2:]], MAIN, PIE),
        ("bin/evlogd", MAIN, ["-fPIE", "-pie", "-Wl,-z,norelro"], MAIN, PIE),
        ("bin/evlog", MAIN, ["-fPIE", "-pie", "-Wl,-z,relro,-z,lazy"], MAIN, PIE),
        ("bin/evlog", MAIN, ["-fPIE", "-pie", "-Wl,-z,relro,-z,now,-z,execstack"], MAIN, PIE),
        ("bin/evlog", MAIN, [*PIE, "-Wl,-rpath,/opt"], MAIN, PIE),
    ],
    symbols.shared_object_is_hardened: [
        ("lib/libevlog.so.1", MAIN, ["-fPIC", "-shared", "-Wl,-z,execstack"], MAIN, SHARED),
    ],
}


def write_tree(folder, files):
    for name, text in {layers.TABLE: ROWS, **files}.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def text_findings(check, files):
    with tempfile.TemporaryDirectory() as folder:
        write_tree(folder, files)
        return list(check(Tree(folder)))


def object_findings(check, target, text, flags):
    """Compile the text to the target, an archive of one object or a linked file, and check the folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, target)
        os.makedirs(os.path.dirname(path))
        source = os.path.join(folder, "a.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write(text)
        if target.endswith(".a"):
            made = os.path.join(folder, "a.o")
            subprocess.run(["cc", "-c", *flags, "-o", made, source], check=True)
            subprocess.run(["ar", "rcs", path, made], check=True)
        else:
            subprocess.run(["cc", *flags, "-o", path, source], check=True, stderr=subprocess.DEVNULL)
        return list(check(folder))


def verdicts():
    """(name, what went wrong or None) for every case."""
    for check, cases in TEXT_CASES.items():
        for number, (bad, good) in enumerate(cases, 1):
            yield f"{check.__name__} {number} finds", None if text_findings(check, bad) else "found nothing"
            found = text_findings(check, good)
            yield f"{check.__name__} {number} accepts", "; ".join(found) or None
    for check, cases in OBJECT_CASES.items():
        for number, (target, bad, bad_flags, good, good_flags) in enumerate(cases, 1):
            found = object_findings(check, target, bad, bad_flags)
            yield f"{check.__name__} {number} finds", None if found else "found nothing"
            found = object_findings(check, target, good, good_flags)
            yield f"{check.__name__} {number} accepts", "; ".join(found) or None
    with tempfile.TemporaryDirectory() as folder:
        found = list(symbols.everything_was_built(folder))
        yield "everything_was_built finds", None if found else "found nothing"
    covered = {*TEXT_CASES, *OBJECT_CASES, symbols.everything_was_built}
    for check in (*layers.CHECKS, *rules.CHECKS, *symbols.CHECKS):
        yield f"{check.__name__} has a case", None if check in covered else "no case in selftest.py"


def main():
    passed = failed = 0
    for name, wrong in verdicts():
        if wrong is None:
            passed += 1
        else:
            failed += 1
            print(f"tidy selftest: {name}: {wrong}")
    print(f"selftest: {passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
