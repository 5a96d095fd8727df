/* SPDX-License-Identifier: Apache-2.0
 *
 * Which lines are logged: one level that the configuration gives, one that stands in its place while a request has set
 * it, and one for each area that a request has set. Any thread; each is one atomic.
 *
 * Most lines are for nobody: the highest level of all says so without a look at the area.
 */
#include <core/bytes.h>
#include <core/logger.h>

#include <stdatomic.h>

#define LEVEL_NONE (-1)

static const char *const area_names[] = {
#define LOG_AREA(name) #name,
#include <core/log_areas.def>
#undef LOG_AREA
};
#define AREA_COUNT (sizeof area_names / sizeof area_names[0])

static _Atomic int level_configured = EL_LOG_INFO;
static _Atomic int level_root = LEVEL_NONE;
static _Atomic int level_highest = EL_LOG_INFO;
static _Atomic int level_above[AREA_COUNT]; /* level + 1; 0: that of the root */

size_t el_log_area_count(void)
{
    return AREA_COUNT;
}

const char *el_log_area_name(size_t index)
{
    return area_names[index];
}

static int area_find(struct el_slice name)
{
    for (size_t i = 0; i < AREA_COUNT; i++) {
        if (el_slice_eq(name, el_slice_str(area_names[i]))) {
            return (int)i;
        }
    }
    return -1;
}

static int root_level(void)
{
    int level = atomic_load_explicit(&level_root, memory_order_relaxed);
    return level != LEVEL_NONE ? level : atomic_load_explicit(&level_configured, memory_order_relaxed);
}

static void find_highest(void)
{
    int highest = root_level();
    for (size_t i = 0; i < AREA_COUNT; i++) {
        highest = EL_MAX(highest, atomic_load(&level_above[i]) - 1);
    }
    atomic_store(&level_highest, highest);
}

void el_log_level_configure(enum el_log_level level)
{
    atomic_store(&level_configured, (int)level);
    find_highest();
}

bool el_log_level_known(struct el_slice area)
{
    return el_slice_eq(area, el_slice_str(EL_LOG_ROOT)) || area_find(area) >= 0;
}

bool el_log_level_set(struct el_slice area, const enum el_log_level *level)
{
    int index = area_find(area);
    if (el_slice_eq(area, el_slice_str(EL_LOG_ROOT))) {
        atomic_store(&level_root, level == NULL ? LEVEL_NONE : (int)*level);
    } else if (index >= 0) {
        atomic_store(&level_above[index], level == NULL ? 0 : (int)*level + 1);
    } else {
        return false;
    }
    find_highest();
    return true;
}

enum el_log_level el_log_level_of(struct el_slice area)
{
    int index = area_find(area);
    int above = index < 0 ? 0 : atomic_load_explicit(&level_above[index], memory_order_relaxed);
    return (enum el_log_level)(above > 0 ? above - 1 : root_level());
}

bool el_log_wanted(enum el_log_level level, const char *area)
{
    return (int)level <= atomic_load_explicit(&level_highest, memory_order_relaxed) &&
           level <= el_log_level_of(el_slice_str(area));
}
