/* SPDX-License-Identifier: Apache-2.0
 *
 * Orphans: packs that lie in this incarnation's folder and that nothing names. A crash between an object and its root
 * leaves them, a topic that was made and deleted between two roots, a removal that failed.
 *
 * A sweep goes through all names once, in passes: one behind a root, before the next round begins, so that nothing is
 * put meanwhile that no root names yet. A pass looks at cfg.sweep_names names and removes SWEEP_REMOVED_MAX objects at
 * most, ends early when somebody waits for a round, and the next one goes on behind the last name. Removed is what
 *
 *   - has a name that only a pack of this writer has
 *   - the ledger does not name: it has all that the newest root, which this process has put, says is live or replaced
 *   - is older than cfg.orphan_ms by the store's own clock, so that of a writer that should not be there
 *     (two brokers on copies of one disk) nothing is taken before one of them has noticed
 *   - came after every child (archive_kin.c): a child's root may name what the newest root here does not
 *
 * Manifests, tiles and checkpoints are no orphans: what is signed is kept on the disk first and put again after a
 * crash. What fails is said once and tried in the next sweep.
 */
#include <archive/archive_ledger_state.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/hash.h>
#include <core/logger.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SWEEP_REMOVED_MAX 32u

static const char *const places[] = {"bundles", "topics"};
#define PLACES (sizeof places / sizeof places[0])

/* One pass. */
struct pass {
    struct archive_ledger *l;
    struct archive_sweep_job *job;
    uint64_t *names; /* [name_count] hashes of the names of objects that are named, ascending */
    size_t name_count;
    size_t prefix_len; /* of "<incarnation>/" */
    int64_t now_ms;    /* the store's clock */
    uint64_t looked;
    bool full; /* the pass is, and not the sweep over */
    size_t found_count;
    struct {
        char key[EL_ARCHIVE_KEY_MAX];
        uint64_t len;
        int64_t modified_ms;
    } found[SWEEP_REMOVED_MAX];
};

/* --- names -------------------------------------------------------------------------------------------------------- */

static int by_hash(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Two names with one hash keep an orphan there, and never take an object away. */
static int names_take(struct pass *p)
{
    const struct archive_state *state = p->l->state;
    p->names = el_calloc(EL_MAX(state->object_count, (size_t)1), sizeof *p->names);
    if (p->names == NULL) {
        return el_error_set(&p->job->err, EVLOG_ERR_NO_MEMORY, "no memory to look for orphans");
    }
    for (size_t i = 0; i < state->object_count; i++) {
        char key[EL_ARCHIVE_KEY_MAX];
        struct archive_object object = archive_object_at(state, i);
        el_archive_key_object(key, &p->l->incarnation, &object.now);
        p->names[p->name_count++] = el_xxh3(key, strlen(key));
    }
    qsort(p->names, p->name_count, sizeof *p->names, by_hash);
    return 0;
}

static bool is_named(const struct pass *p, const char *key)
{
    uint64_t hash = el_xxh3(key, strlen(key));
    return p->name_count > 0 && bsearch(&hash, p->names, p->name_count, sizeof hash, by_hash) != NULL;
}

/* Does the text have this form? '#' is a hexadecimal digit, '9' a decimal one, '*' one or more of those. */
static bool has_form(const char *text, const char *form)
{
    for (; *form != 0; form++) {
        size_t digits = strspn(text, *form == '#' ? "0123456789abcdef" : "0123456789");
        if (*form == '*') {
            text += digits;
        } else if (*form == '#' || *form == '9') {
            text += digits > 0;
        } else {
            digits = *text == *form;
            text += digits;
        }
        if (digits == 0) {
            return false;
        }
    }
    return *text == 0;
}

#define HEX_16 "################"

static bool is_pack(const char *name)
{
    return has_form(name, "bundles/9999/" HEX_16 "-" HEX_16) ||
           has_form(name, "topics/" HEX_16 HEX_16 "/*/seg/99999999999999999999-" HEX_16 ".seg");
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

static bool look(void *arg, const char *key, uint64_t len, int64_t modified_ms)
{
    struct pass *p = arg;
    struct archive_sweep *sweep = &p->l->sweep;
    size_t key_len = strlen(key);
    if (p->looked == p->l->cfg.sweep_names || p->found_count == SWEEP_REMOVED_MAX || atomic_load(p->job->hurry)) {
        p->full = true;
        return false;
    }
    p->looked++;
    if (key_len < sizeof sweep->after) {
        memcpy(sweep->after, key, key_len + 1);
    }
    if (key_len >= EL_ARCHIVE_KEY_MAX || !is_pack(key + p->prefix_len) || is_named(p, key)) {
        return true;
    }
    bool old = modified_ms > 0 && p->now_ms > modified_ms && (uint64_t)(p->now_ms - modified_ms) >= p->l->cfg.orphan_ms;
    if (!old) {
        sweep->young++;
        return true;
    }
    EL_ASSERT(p->found_count < SWEEP_REMOVED_MAX);
    memcpy(p->found[p->found_count].key, key, key_len + 1);
    p->found[p->found_count].len = len;
    p->found[p->found_count++].modified_ms = modified_ms;
    return true;
}

static int look_on(struct pass *p)
{
    char prefix[EL_ARCHIVE_KEY_MAX], folder[EL_ARCHIVE_KEY_MAX];
    struct archive_sweep *sweep = &p->l->sweep;
    int code = 0;
    el_archive_key_cluster(folder, &p->l->incarnation);
    folder[strcspn(folder, "/")] = 0;
    p->prefix_len = strlen(folder) + 1;
    EL_ASSERT(sweep->place < PLACES); /* else the sweep is over, and the next begins anew */
    while (code == 0 && !p->full && sweep->place < PLACES) {
        snprintf(prefix, sizeof prefix, "%.64s/%s/", folder, places[sweep->place]);
        code = object_list(p->l->cfg.bucket, prefix, sweep->after, look, p, &p->job->err);
        if (code == 0 && !p->full) {
            sweep->place++;
            sweep->after[0] = 0;
        }
    }
    return code;
}

/* --- removing ----------------------------------------------------------------------------------------------------- */

static int remove_found(struct pass *p)
{
    struct archive_sweep *sweep = &p->l->sweep;
    int64_t child_ms;
    int code = p->found_count == 0 ? 0 : archive_child_look(p->l, &child_ms, &p->job->err);
    for (size_t i = 0; i < p->found_count && code == 0; i++) {
        if (p->found[i].modified_ms <= child_ms) {
            sweep->of_child++;
            continue;
        }
        code = object_remove(p->l->cfg.bucket, p->found[i].key, &p->job->err);
        sweep->removed += code == 0;
        sweep->removed_len += code == 0 ? p->found[i].len : 0;
        p->job->removed += code == 0;
    }
    return code;
}

static void say(const struct archive_sweep *sweep, const struct archive_sweep_job *job, int code)
{
    if (code != 0 && code != EVLOG_ERR_CLOSED && code != EVLOG_ERR_CRASHED) {
        el_log(EL_LOG_WARN, "archive", "objects that no root names could not all be looked for: %s", job->err.text);
    }
    if (sweep->removed > 0) {
        el_log(EL_LOG_INFO, "archive",
               "%" PRIu64 " objects (%" PRIu64 " bytes) that no root names were removed; %" PRIu64
               " are younger than archive.orphan.ms and stay",
               sweep->removed, sweep->removed_len, sweep->young);
    }
    if (sweep->of_child > 0) {
        el_log(EL_LOG_INFO, "archive",
               "%" PRIu64 " objects that this archive does not need stay, for another one goes on from it",
               sweep->of_child);
    }
}

static int pass_run(struct pass *p)
{
    p->now_ms = atomic_load(&p->l->cfg.bucket->seen_ms); /* before the listing: nothing looks older than it is */
    int code = p->now_ms <= 0 ? el_error_set(&p->job->err, EVLOG_ERR_AGAIN, "the store does not show its clock")
                              : names_take(p);
    code = code != 0 ? code : look_on(p);
    code = code != 0 ? code : remove_found(p);
    el_free(p->names);
    return code;
}

int64_t archive_sweep_run(struct disk *disk, void *arg)
{
    struct archive_sweep_job *job = arg;
    struct archive_ledger *l = job->ledger;
    struct pass *p = el_calloc(1, sizeof *p);
    (void)disk;
    EL_ASSERT(l->state->header.sequence > 0);
    job->err.code = 0;
    job->removed = 0;
    job->over = true;
    int code = job->ages ? archive_retire_look(l, job) : 0;
    if (!job->orphans || code != 0) {
        job->over = job->orphans;
        el_free(p);
        return code;
    }
    if (!job->goes_on) {
        l->sweep = (struct archive_sweep){.place = 0};
    }
    code = EVLOG_ERR_NO_MEMORY;
    if (p != NULL) {
        p->l = l;
        p->job = job;
        code = pass_run(p);
        job->over = code != 0 || !p->full;
    }
    if (job->over) {
        say(&l->sweep, job, code);
    }
    el_free(p);
    return code;
}
