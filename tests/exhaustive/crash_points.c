/* SPDX-License-Identifier: Apache-2.0
 *
 * Every crash of every small workload.
 *
 *   1. a workload runs once. Whenever a call of the disk begins, a durable write ends or the client was told something,
 *      and the disk or the client has changed since, disk and client are copied: a crash point. Those of its first
 *      actions belong to the shorter workload; only those of the last one are looked at, and of the rest after it
 *   2. at each point every survival of what was not durable (cuts_each()): writes none, all, each alone, each prefix,
 *      all but each one, each torn at its sectors; together with each prefix of the changes of folders
 *   3. recovery of each such disk, a look at everything, and the first checkpoint after it. Its own crash points are
 *      taken as at 1, with nothing and with all of what was not durable; from each a second recovery must show the
 *      client the same log, and take a new event
 *
 * A disk and a client that have been looked at before are not looked at again: what follows is decided by them.
 * Torn writes of more than TORN_CUTS_MAX sectors (slots being filled with zeros) are cut at so many even places.
 */
#include "exhaustive.h"

#include <core/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PENDING_MAX 64u
#define TORN_CUTS_MAX 16u
#define DEPTH_MAX 8u
#define PAUSES_PPM 200000u /* in a workload whose actions overlap */

struct point {
    struct sim_disk *disk;
    struct client client; /* not of a recovery: what it shows, it must show again */
    int32_t epoch;        /* of the last start that had succeeded */
    bool stopping;
};

struct points {
    struct machine *machine;
    struct point *list;
    uint32_t count, room;
    bool disks_only; /* the client is none of its business */
};

struct workload {
    enum verb verbs[DEPTH_MAX];
    uint32_t count;
    bool used;     /* on a store that holds something, not on a new one */
    bool together; /* its actions are asked for at once */
};

struct crash_run {
    const struct crash_config *cfg;
    struct workload workload;
    struct points points, second; /* of the workload, of a recovery */
    uint64_t *seen;               /* open addressing, 0 empty */
    uint64_t seen_count, seen_room;
    char violation[1200];
    uint64_t passed, failed, workloads;
    uint64_t calls, point_count, cut_count, state_count, again_count, again_states;
};

static struct machine worker, first_look, second_look;
static struct el_rng spare_rng;

/* --- crash points ------------------------------------------------------------------------------------------------- */

static void point_note(void *arg)
{
    struct points *p = arg;
    if (p->count == p->room) {
        p->room = p->room == 0 ? 64 : p->room * 2;
        p->list = realloc(p->list, p->room * sizeof(*p->list));
        EL_ASSERT(p->list != NULL);
    }
    struct point *point = &p->list[p->count++];
    point->disk = sim_disk_copy(p->machine->w.disk, &spare_rng);
    point->epoch = p->machine->c.epoch;
    point->stopping = p->machine->c.stopping;
    if (!p->disks_only) {
        client_copy(&point->client, &p->machine->c);
    }
}

static void points_begin(struct points *p, struct machine *m)
{
    p->machine = m;
    m->point = p->disks_only ? NULL : point_note;
    m->point_arg = p;
    sim_disk_watch(m->w.disk, point_note, p);
}

static void points_end(struct points *p)
{
    point_note(p);
    sim_disk_watch(p->machine->w.disk, NULL, NULL);
    p->machine->point = NULL;
}

static void points_clear(struct points *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        sim_disk_free(p->list[i].disk);
        if (!p->disks_only) {
            client_free(&p->list[i].client);
        }
    }
    p->count = 0;
}

/* --- what was seen ------------------------------------------------------------------------------------------------ */

static bool seen_add(uint64_t *list, uint64_t room, uint64_t key)
{
    uint64_t i = key & (room - 1);
    while (list[i] != 0 && list[i] != key) {
        i = (i + 1) & (room - 1);
    }
    bool fresh = list[i] == 0;
    list[i] = key;
    return fresh;
}

/* returns true when the key is new */
static bool seen_first(struct crash_run *r, uint64_t key)
{
    if (r->seen_count * 2 >= r->seen_room) {
        uint64_t room = r->seen_room == 0 ? 1u << 16 : r->seen_room * 2;
        uint64_t *grown = calloc(room, sizeof(*grown));
        EL_ASSERT(grown != NULL);
        for (uint64_t i = 0; i < r->seen_room; i++) {
            if (r->seen[i] != 0) {
                seen_add(grown, room, r->seen[i]);
            }
        }
        free(r->seen);
        r->seen = grown;
        r->seen_room = room;
    }
    bool fresh = seen_add(r->seen, r->seen_room, key == 0 ? 1 : key);
    r->seen_count += fresh;
    return fresh;
}

/* `level`: the second recovery is not followed by a third, so that a state of it is not one of the first. */
static uint64_t state_key(struct sim_disk *disk, const struct client *client, uint64_t level)
{
    return (sim_disk_digest(disk) ^ client_digest(client) ^ level) * 0x9e3779b97f4a7c15ull;
}

static void violation_take(struct crash_run *r, const struct machine *m)
{
    snprintf(r->violation, sizeof(r->violation), "%.500s", m->w.violation);
}

/* --- recovery ----------------------------------------------------------------------------------------------------- */

/* A second recovery, from a crash inside the first one: the same log, and a store that goes on. */
static void look_again(struct crash_run *r, struct sim_disk *take_disk, const struct machine *before)
{
    r->again_count++;
    if (!seen_first(r, state_key(take_disk, &before->c, 2))) {
        sim_disk_free(take_disk);
        return;
    }
    struct machine *m = &second_look;
    r->again_states++;
    machine_become(m, take_disk, &before->c);
    if (machine_start(m) && machine_look(m) && m->c.m.digest != before->c.m.digest) {
        world_violation(&m->w, "a second recovery gave another log");
    }
    bool good = m->w.violation[0] == 0 && machine_goes_on(m);
    if (!good) {
        violation_take(r, m);
    }
    machine_free(m);
}

static void recoveries_again(struct crash_run *r, struct machine *before)
{
    struct sim_keep keep[PENDING_MAX];
    for (uint32_t i = 0; i < r->second.count && r->violation[0] == 0; i++) {
        uint32_t count = sim_disk_pending(r->second.list[i].disk, NULL, 0);
        EL_ASSERT(count <= PENDING_MAX);
        before->c.epoch = r->second.list[i].epoch;
        before->c.stopping = r->second.list[i].stopping;
        for (uint32_t all = 0; all < (count > 0 ? 2 : 1) && r->violation[0] == 0; all++) {
            for (uint32_t k = 0; k < count; k++) {
                keep[k] = all ? SIM_KEEP_ALL : SIM_KEEP_NONE;
            }
            look_again(r, sim_disk_after_cut(r->second.list[i].disk, keep, &second_look.w.rng), before);
            if (r->violation[0] != 0) {
                size_t len = strlen(r->violation);
                snprintf(r->violation + len, sizeof(r->violation) - len,
                         " (recovery crashed at its point %u of %u, %s)", i, r->second.count,
                         all ? "all kept" : "none kept");
            }
        }
    }
}

/* Recover, look, go on to the first checkpoint; then all crashes of that. */
static void look(struct crash_run *r, struct sim_disk *take_disk, const struct client *client)
{
    struct machine *m = &first_look;
    r->cut_count++;
    if (!seen_first(r, state_key(take_disk, client, 1))) {
        sim_disk_free(take_disk);
        return;
    }
    r->state_count++;
    machine_become(m, take_disk, client);
    points_begin(&r->second, m);
    bool good = machine_start(m) && machine_look(m) && machine_settle(m);
    points_end(&r->second);
    if (good) {
        machine_kill(m);
        recoveries_again(r, m);
    } else {
        violation_take(r, m);
    }
    points_clear(&r->second);
    machine_free(m);
}

/* --- survivals ---------------------------------------------------------------------------------------------------- */

struct cuts {
    struct crash_run *run;
    const struct point *point;
    uint32_t point_index;
    struct sim_pending pending[PENDING_MAX];
    struct sim_keep keep[PENDING_MAX];
    uint32_t write_count, name_count;
};

static void cut_say(const struct cuts *c)
{
    struct crash_run *r = c->run;
    size_t len = strlen(r->violation);
    len += (size_t)snprintf(r->violation + len, sizeof(r->violation) - len, "; point %u, kept:", c->point_index);
    for (uint32_t i = 0; i < c->write_count + c->name_count && len < sizeof(r->violation); i++) {
        uint32_t to = EL_MIN(c->keep[i].to, c->pending[i].sector_count);
        len += (size_t)snprintf(r->violation + len, sizeof(r->violation) - len, " %s[%u,%u) of %u",
                                c->pending[i].name ? "name" : "write", EL_MIN(c->keep[i].from, to), to,
                                c->pending[i].sector_count);
    }
}

static void cut_one(struct cuts *c)
{
    if (c->run->violation[0] != 0) {
        return;
    }
    look(c->run, sim_disk_after_cut(c->point->disk, c->keep, &first_look.w.rng), &c->point->client);
    if (c->run->violation[0] != 0) {
        cut_say(c);
    }
}

/* Writes before the i-th, it, and those behind it. */
static void cut_writes(struct cuts *c, uint32_t i, bool before, struct sim_keep keep, bool behind)
{
    for (uint32_t k = 0; k < c->write_count; k++) {
        bool whole = k < i ? before : behind;
        c->keep[k] = k == i ? keep : whole ? SIM_KEEP_ALL : SIM_KEEP_NONE;
    }
    cut_one(c);
}

/* A part of the i-th write: each beginning, alone behind the earlier ones or among all; each end among all. */
static void cut_torn(struct cuts *c, uint32_t i)
{
    uint32_t sectors = c->pending[i].sector_count;
    uint32_t places = sectors > 0 ? EL_MIN(sectors - 1, TORN_CUTS_MAX) : 0;
    for (uint32_t k = 1; k <= places; k++) {
        uint32_t at = (uint32_t)((uint64_t)k * sectors / (places + 1));
        cut_writes(c, i, true, (struct sim_keep){0, at}, false);
        cut_writes(c, i, true, (struct sim_keep){0, at}, true);
        cut_writes(c, i, true, (struct sim_keep){at, UINT32_MAX}, true);
    }
}

static void cuts_each(struct cuts *c)
{
    for (uint32_t names = 0; names <= c->name_count; names++) {
        for (uint32_t i = 0; i < c->name_count; i++) {
            c->keep[c->write_count + i] = i < names ? SIM_KEEP_ALL : SIM_KEEP_NONE;
        }
        cut_writes(c, UINT32_MAX, false, SIM_KEEP_NONE, false);
        if (c->write_count == 0) {
            cut_one(c);
        }
        for (uint32_t i = 0; i < c->write_count; i++) {
            cut_writes(c, i, true, SIM_KEEP_ALL, false);  /* a prefix; the last one: all */
            cut_writes(c, i, false, SIM_KEEP_ALL, false); /* alone */
            cut_writes(c, i, true, SIM_KEEP_NONE, true);  /* all but this one */
            cut_torn(c, i);
        }
    }
}

static void point_look(struct crash_run *r, uint32_t index)
{
    struct cuts c = {.run = r, .point = &r->points.list[index], .point_index = index};
    uint32_t count = sim_disk_pending(c.point->disk, c.pending, PENDING_MAX);
    EL_ASSERT(count <= PENDING_MAX);
    while (c.write_count < count && !c.pending[c.write_count].name) {
        c.write_count++;
    }
    c.name_count = count - c.write_count;
    r->point_count++;
    cuts_each(&c);
}

/* --- workloads ---------------------------------------------------------------------------------------------------- */

static void workload_name(const struct workload *w, char *out, size_t len)
{
    size_t at = (size_t)snprintf(out, len, "%s", w->count == 0 ? "none" : w->used ? "used:" : "");
    for (uint32_t i = 0; i < w->count; i++) {
        at += (size_t)snprintf(out + at, len - at, "%s%s",
                               i == 0        ? ""
                               : w->together ? "+"
                                             : ",",
                               verb_name(w->verbs[i]));
    }
}

static void before_action(void *arg, uint32_t index)
{
    struct crash_run *r = arg;
    if (index == (r->workload.together ? 0 : r->workload.count - 1)) {
        r->calls -= sim_disk_calls(worker.w.disk);
        points_begin(&r->points, &worker);
    }
}

static void workload_run(struct crash_run *r)
{
    const struct workload *w = &r->workload;
    struct machine *m = &worker;
    machine_init(m);
    r->violation[0] = 0;
    if (w->count == 0) {
        points_begin(&r->points, m);
    }
    bool good = machine_prepare(m, w->used);
    sim_disk_fault_set(m->w.disk, FAULT_JOB_PAUSE, w->together ? PAUSES_PPM : 0);
    if (good && w->count > 0) {
        good = machine_work(m, w->verbs, w->count, w->together, before_action, r);
    }
    good = good && machine_look(m);
    if (good) {
        r->calls += sim_disk_calls(m->w.disk);
        points_end(&r->points);
        machine_kill(m);
    } else {
        violation_take(r, m);
    }
    machine_free(m);
    for (uint32_t i = 0; i < r->points.count && r->violation[0] == 0; i++) {
        point_look(r, i);
    }
    points_clear(&r->points);
}

static void workload_judge(struct crash_run *r)
{
    char name[128];
    uint64_t states = r->state_count, again = r->again_states, points = r->point_count;
    workload_name(&r->workload, name, sizeof(name));
    r->workloads++;
    workload_run(r);
    r->passed += r->violation[0] == 0;
    r->failed += r->violation[0] != 0;
    if (r->violation[0] != 0) {
        printf("%s: FAILED\n  %s\n  again: evlog-exhaustive crash --workload %s\n", name, r->violation, name);
    } else if (r->cfg->verbose) {
        printf("%s: %llu points, %llu states, %llu in recovery\n", name, (unsigned long long)(r->point_count - points),
               (unsigned long long)(r->state_count - states), (unsigned long long)(r->again_states - again));
    }
    fflush(stdout);
}

/* The n-th workload of `count` actions. */
static void workload_set(struct workload *w, uint32_t count, uint64_t n)
{
    w->count = count;
    for (uint32_t i = 0; i < count; i++) {
        w->verbs[i] = (enum verb)(n % VERB_COUNT);
        n /= VERB_COUNT;
    }
}

static void workloads_of(struct crash_run *r, uint32_t count, uint64_t *index)
{
    const struct crash_config *cfg = r->cfg;
    uint64_t all = 1;
    for (uint32_t i = 0; i < count; i++) {
        all *= VERB_COUNT;
    }
    for (uint64_t n = 0; n < all && r->failed < FAILURES_MAX; n++) {
        bool sliced = count == cfg->depth && n % cfg->slice != 0;
        if (!sliced && (*index)++ / VERB_COUNT % cfg->part.count == cfg->part.index) {
            workload_set(&r->workload, count, n);
            workload_judge(r);
        }
    }
}

/* "append,trim" one after the other, "append+trim" together, "used:append" on a store in use. returns false when it is
 * none */
static bool workload_parse(struct workload *w, const char *text)
{
    *w = (struct workload){.together = strchr(text, '+') != NULL};
    w->used = strncmp(text, "used:", 5) == 0;
    text += w->used ? 5 : 0;
    if (strcmp(text, "none") == 0) {
        return true;
    }
    while (*text != 0 && w->count < DEPTH_MAX) {
        size_t len = strcspn(text, ",+");
        uint32_t verb = 0;
        while (verb < VERB_COUNT &&
               (strlen(verb_name((enum verb)verb)) != len || strncmp(verb_name((enum verb)verb), text, len) != 0)) {
            verb++;
        }
        if (verb == VERB_COUNT) {
            return false;
        }
        w->verbs[w->count++] = (enum verb)verb;
        text += len + (text[len] != 0);
    }
    return *text == 0;
}

bool crash_points_run(const struct crash_config *cfg)
{
    struct crash_run r = {.cfg = cfg, .second = {.disks_only = true}};
    uint64_t index = 0;
    if (cfg->workload != NULL) {
        if (workload_parse(&r.workload, cfg->workload)) {
            workload_judge(&r);
        } else {
            printf("no such workload: %s\n", cfg->workload);
        }
    }
    for (uint32_t count = 0; count <= cfg->depth && cfg->workload == NULL; count++) {
        for (uint32_t kind = 0; kind < 4; kind++) {
            r.workload.used = kind >= 2;
            r.workload.together = kind % 2 == 1;
            if (count > 1 || kind == 0 || (count == 1 && kind == 2)) {
                workloads_of(&r, count, &index);
            }
        }
    }
    printf(
        "%llu workloads, %llu disk calls in them, %llu crash points, %llu disks after a crash, %llu of them different; "
        "%llu crashes of their recoveries, %llu different\n",
        (unsigned long long)r.workloads, (unsigned long long)r.calls, (unsigned long long)r.point_count,
        (unsigned long long)r.cut_count, (unsigned long long)r.state_count, (unsigned long long)r.again_count,
        (unsigned long long)r.again_states);
    printf("%llu passed, %llu failed\n", (unsigned long long)r.passed, (unsigned long long)r.failed);
    free(r.points.list);
    free(r.second.list);
    free(r.seen);
    return r.failed == 0 && r.passed > 0;
}
