/* SPDX-License-Identifier: Apache-2.0
 *
 * Who goes on from this archive. A restored directory begins an incarnation that names this one as its parent, at a
 * root; everything that this root covers is that one's history, also what has been replaced here since. So as soon as
 * such a child lies under the prefix, no object that lay there before is removed any more.
 *
 * Nobody waits for anybody, so what counts is the order:
 *
 *   here      the root that says that an object is removed is put; then children are looked for; then it is removed
 *   a child   its cluster.json is put; then the newest root here is looked at, and when that says that something is
 *             removed which the child needs, the child does not begin (archive_begin.c)
 *
 * Whichever of the two puts comes first, one of the two looks sees it.
 *
 * And what a child must know of those that it continues.
 */
#include <archive/archive_ledger_state.h>

#include <core/alloc.h>
#include <core/crypto.h>
#include <core/logger.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/archive_cluster.h>
#include <store/archive_reader.h>

struct folder {
    char name[OBJECT_KEY_MAX];
    size_t len;
};

static bool first_folder(void *arg, const char *key, uint64_t len, int64_t modified_ms)
{
    struct folder *folder = arg;
    (void)len;
    (void)modified_ms;
    folder->len = strcspn(key, "/");
    snprintf(folder->name, sizeof folder->name, "%.*s", (int)folder->len, key);
    return false;
}

/* What cluster.json of a folder says; it is never changed, so it is asked once. */
static int kin_read(struct archive_ledger *l, const struct folder *folder, struct kin *kin, struct el_error *err)
{
    char key[OBJECT_KEY_MAX];
    uint8_t *data = NULL;
    uint64_t len = 0;
    struct archive_cluster cluster;
    struct object_info info;
    int n = snprintf(key, sizeof key, "%s/cluster.json", folder->name);
    if (n < 0 || (size_t)n >= sizeof key || archive_id_parse(el_slice_of(folder->name, folder->len), &kin->id) != 0) {
        return el_error_set(err, EVLOG_ERR_CORRUPT, "%.100s/ lies under the prefix, and is no archive", folder->name);
    }
    int code = object_head(l->cfg.bucket, key, &info, err);
    code = code != 0 ? code : object_get_all(l->cfg.bucket, key, ARCHIVE_CLUSTER_LEN_MAX, &data, &len, err);
    code = code != 0 ? code : archive_cluster_parse(el_slice_of(data, len), &cluster, err);
    el_free(data);
    if (code != 0) {
        return el_error_wrap(err, "%.300s", key);
    }
    kin->is_child = el_uuid_eq(&cluster.parent, &l->incarnation);
    kin->began_ms = info.modified_ms;
    return 0;
}

static const struct kin *kin_find(const struct archive_ledger *l, const struct folder *folder)
{
    for (size_t i = 0; i < l->kin_count; i++) {
        char id[33];
        el_hex(id, l->kin[i].id.bytes, sizeof l->kin[i].id.bytes);
        if (strcmp(id, folder->name) == 0) {
            return &l->kin[i];
        }
    }
    return NULL;
}

int archive_child_look(struct archive_ledger *l, int64_t *child_ms, struct el_error *err)
{
    char own[33], after[OBJECT_KEY_MAX] = "";
    el_hex(own, l->incarnation.bytes, sizeof l->incarnation.bytes);
    *child_ms = INT64_MIN;
    for (size_t i = 0; i <= KIN_MAX + 1; i++) {
        struct folder folder = {.len = 0};
        int code = object_list(l->cfg.bucket, "", after, first_folder, &folder, err);
        if (code != 0 || folder.len == 0) {
            return code;
        }
        snprintf(after, sizeof after, "%.*s0", (int)(sizeof after - 2), folder.name); /* '0' follows '/' */
        if (strcmp(folder.name, own) == 0) {
            continue;
        }
        const struct kin *known = kin_find(l, &folder);
        if (known == NULL && l->kin_count < KIN_MAX) {
            code = kin_read(l, &folder, &l->kin[l->kin_count], err);
            if (code != 0) {
                return code;
            }
            known = &l->kin[l->kin_count++];
        }
        if (known == NULL) {
            break;
        }
        *child_ms = known->is_child ? EL_MAX(*child_ms, known->began_ms) : *child_ms;
    }
    return el_error_set(err, EVLOG_ERR_LIMIT, "more than %u archives lie under the prefix", KIN_MAX);
}

/* --- the other side ----------------------------------------------------------------------------------------------- */

static int parent_open(struct archive_ledger *l, const struct el_manifest_header *draft, uint64_t sequence,
                       struct archive_reader **reader, struct el_error *err)
{
    struct archive_reader_options options = {.incarnation = &draft->parent, .sequence = sequence};
    return archive_reader_open(l->cfg.bucket, &options, reader, err);
}

/* The first object that counts for `then` and is not there any more, says `now`; 0 none. */
static uint64_t removed_since(const struct archive_state *then, const struct archive_state *now)
{
    for (size_t i = 0; i < then->object_count; i++) {
        struct archive_object object = archive_object_at(then, i), same;
        if (object.now.state == EL_OBJECT_LIVE && !archive_state_object(now, object.now.number, &same)) {
            return object.now.number;
        }
    }
    return 0;
}

int archive_parent_check(struct archive_ledger *l, const struct el_manifest_header *draft, struct el_error *err)
{
    struct archive_reader *then = NULL, *now = NULL;
    uint64_t removed = 0;
    int code = parent_open(l, draft, draft->parent_sequence, &then, err);
    if (code == EVLOG_ERR_NOT_FOUND) {
        return 0; /* --archive names another place than the one that this directory came from */
    }
    code = code != 0 ? code : parent_open(l, draft, 0, &now, err);
    if (code == 0) {
        removed = removed_since(archive_reader_state(then), archive_reader_state(now));
    }
    archive_reader_close(then);
    archive_reader_close(now);
    if (code == 0 && removed != 0) {
        code = el_error_set(err, EVLOG_ERR_CONFLICT,
                            "%s has gone on since this directory was restored from root %" PRIu64
                            ", and has removed objects that it needs (the first is number %" PRIu64
                            "): restore again, into an empty directory",
                            l->cfg.bucket->url, draft->parent_sequence, removed);
    }
    return code;
}

/* --- what had left before ----------------------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const struct inherited *x = a, *y = b;
    int order = memcmp(x->topic_id.bytes, y->topic_id.bytes, sizeof x->topic_id.bytes);
    return order != 0 ? order : (x->number > y->number) - (x->number < y->number);
}

/* Room for every partition was made. */
static int inherit_part(struct archive_ledger *l, struct archive_reader *parent, const struct archive_partition *p,
                        struct el_error *err)
{
    struct archive_range range;
    if (p->now.start_offset == 0) {
        return 0;
    }
    int code = archive_reader_range(parent, &p->now.topic_id, p->now.partition, &range, err);
    if (code != 0) {
        return code == EVLOG_ERR_UNKNOWN_TOPIC ? 0 : code;
    }
    int64_t end = EL_MIN(range.log_start, p->now.start_offset);
    if (end > p->now.log_start) { /* its log start was taken along, so this has left by age */
        l->inherited[l->inherited_count++] = (struct inherited){
            .topic_id = p->now.topic_id, .number = p->now.partition, .end = end};
    }
    return 0;
}

int archive_inherit(struct archive_ledger *l, struct el_error *err)
{
    const struct archive_state *own = l->state->header.sequence == 0 && l->draft != NULL ? l->draft : l->state;
    struct archive_reader *parent = NULL;
    el_free(l->inherited);
    l->inherited = NULL;
    l->inherited_count = 0;
    if (el_uuid_is_zero(&own->header.parent)) {
        return 0;
    }
    int code = parent_open(l, &own->header, own->header.parent_sequence, &parent, err);
    if (code == 0) {
        l->inherited = el_calloc(EL_MAX(own->partitions.count, (size_t)1), sizeof *l->inherited);
        code = l->inherited == NULL ? el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for what the archive has") : 0;
    }
    for (size_t i = 0; code == 0 && i < own->partitions.count; i++) {
        code = inherit_part(l, parent, own->partitions.entries[i].value, err);
    }
    archive_reader_close(parent);
    if (l->inherited_count > 0) {
        qsort(l->inherited, l->inherited_count, sizeof *l->inherited, by_place);
    }
    if (code == EVLOG_ERR_NOT_FOUND) {
        return 0; /* --archive names another place than the one that this directory came from */
    }
    if (code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_FORMAT) {
        el_log(EL_LOG_ERROR, "archive", "what the archive that this one continues has cannot be known: %s", err->text);
        err->code = code = 0;
    }
    return code;
}

int64_t archive_inherited_end(const struct archive_ledger *l, const struct archive_partition *p)
{
    struct inherited key = {.topic_id = p->now.topic_id, .number = p->now.partition};
    const struct inherited *found = l->inherited_count == 0 ? NULL
                                                            : bsearch(&key, l->inherited, l->inherited_count,
                                                                      sizeof *l->inherited, by_place);
    return found == NULL ? 0 : found->end;
}
