/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a container's limits are respected, wherever in the hierarchy they are set. Method: a small hierarchy of
 * files in a temporary folder, as the kernel shows it.
 */
#include <config/machine.h>

#include "../../lib/test.h"

#include <stdio.h>
#include <sys/stat.h>

static void write_file(const char *root, const char *name, const char *text)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

TEST(machine, no_hierarchy_sets_no_limit)
{
    assert_true(machine_group_memory("/nonexistent", "/a/b") == UINT64_MAX);
    assert_true(machine_group_cpu_count("/nonexistent", "") == UINT64_MAX);
}

TEST(machine, smallest_limit_on_the_way_up_counts)
{
    const char *root = el_test_dir();
    char path[1024];
    snprintf(path, sizeof path, "%s/a", root);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/a/b", root);
    assert_int_equal(mkdir(path, 0700), 0);
    write_file(root, "a/b/memory.max", "max\n");
    write_file(root, "a/memory.max", "1073741824\n");
    write_file(root, "memory.max", "4294967296\n");
    write_file(root, "a/b/cpu.max", "150000 100000\n");
    write_file(root, "a/cpu.max", "max 100000\n");
    assert_int_equal(machine_group_memory(root, "/a/b"), 1073741824);
    assert_int_equal(machine_group_memory(root, ""), 4294967296);
    assert_int_equal(machine_group_cpu_count(root, "/a/b"), 2);
    assert_true(machine_group_cpu_count(root, "/a") == UINT64_MAX);
}

TEST(machine, nonsense_sets_no_limit)
{
    const char *root = el_test_dir();
    write_file(root, "memory.max", "lots\n");
    write_file(root, "cpu.max", "1 0\n");
    assert_true(machine_group_memory(root, "") == UINT64_MAX);
    assert_true(machine_group_cpu_count(root, "") == UINT64_MAX);
    write_file(root, "cpu.max", "1 100000\n");
    assert_int_equal(machine_group_cpu_count(root, ""), 1);
}

TEST(machine, this_machine_has_something)
{
    assert_true(machine_cpu_count() >= 1);
    assert_true(machine_memory_len() >= 1 << 20);
}
