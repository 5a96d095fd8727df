/* SPDX-License-Identifier: Apache-2.0
 *
 * Choosing what rots: any file; or the newest checkpoint of a shard, which the one before must replace; or a segment of
 * the topic of commits, of which nothing may be missing without a word.
 */
#include "rot.h"

#include <stdio.h>
#include <stdlib.h>

struct choice {
    struct world *w;
    bool clean;
    uint32_t seen; /* files that could have been chosen so far */
    char path[128];
    uint64_t len;
    uint32_t checkpoints; /* in the folder of shard `shard` */
    uint32_t shard;
};

static void choose_any(void *arg, const char *path, uint64_t len)
{
    struct choice *c = arg;
    bool young = strncmp(path, "journal/", 8) == 0 && !c->clean;
    bool other = strstr(path, "tmp") != NULL;
    if (len == 0 || young || other || world_below(c->w, ++c->seen) != 0) {
        return;
    }
    snprintf(c->path, sizeof(c->path), "%s", path);
    c->len = len;
}

/* Files come in order of their names, so that the last one is the newest. */
static void choose_checkpoint(void *arg, const char *path, uint64_t len)
{
    struct choice *c = arg;
    char dir[32];
    snprintf(dir, sizeof(dir), "checkpoint/%04u/", c->shard);
    if (strncmp(path, dir, strlen(dir)) == 0 && strstr(path, "tmp") == NULL) {
        c->checkpoints++;
        snprintf(c->path, sizeof(c->path), "%s", path);
        c->len = len;
    }
}

static void choose_offsets(void *arg, const char *path, uint64_t len)
{
    struct choice *c = arg;
    if (strncmp(path, c->w->offsets_dir, strlen(c->w->offsets_dir)) == 0) {
        choose_any(arg, path, len);
    }
}

struct rot rot_make(struct world *w, bool clean)
{
    struct choice c = {.w = w, .clean = clean, .shard = (uint32_t)world_below(w, w->shard_count)};
    bool newest = world_chance(w, 300000);
    bool offsets = !newest && w->offsets_dir[0] != 0 && world_chance(w, 400000);
    sim_disk_each(w->disk, false, newest ? choose_checkpoint : offsets ? choose_offsets : choose_any, &c);
    struct rot rot = {.bits = (uint8_t)(1u << world_below(w, 8))};
    if (c.path[0] == 0) {
        return rot;
    }
    snprintf(rot.path, sizeof(rot.path), "%s", c.path);
    rot.pos = world_below(w, c.len);
    if (newest) {
        rot.pos = rot.pos >= 8 && rot.pos < 12 ? 0 : rot.pos; /* not the format number: that is refused as too new */
        rot.harmless = c.checkpoints > 1 && w->rotten == 0;
    }
    if (!sim_disk_flip(w->disk, rot.path, rot.pos, rot.bits)) {
        rot.path[0] = 0;
        return rot;
    }
    sim_disk_fault_count(w->disk, FAULT_BIT_FLIP);
    w->rotten += !rot.harmless;
    return rot;
}

void rot_undo(struct world *w, const struct rot *rot)
{
    sim_disk_flip(w->disk, rot->path, rot->pos, rot->bits);
    w->rotten--;
}
