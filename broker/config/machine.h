/* SPDX-License-Identifier: Apache-2.0
 *
 * What the machine, or the container evlogd runs in, grants: for defaults that depend on it.
 */
#ifndef EL_CONFIG_MACHINE_H
#define EL_CONFIG_MACHINE_H

#include <stdint.h>

/* Processors this process may use, rounded up from a container's quota; at least 1. */
uint32_t machine_cpu_count(void);
/* Bytes of memory this process may use. */
uint64_t machine_memory_len(void);

/* Smallest limit found in the control groups from `group` up to the root of the hierarchy; UINT64_MAX for none.
 * Separate from the above for tests.
 *
 * root      of the mounted hierarchy, "/sys/fs/cgroup"
 * group     path below it, "/system.slice/evlogd.service"
 */
uint64_t machine_group_memory(const char *root, const char *group);
uint64_t machine_group_cpu_count(const char *root, const char *group);

#endif
