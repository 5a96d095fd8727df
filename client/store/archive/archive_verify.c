/* SPDX-License-Identifier: Apache-2.0
 *
 * Verifying an archive: the order of things, and what was found.
 *
 * For the newest incarnation, then for each that it continues:
 *   1. open its root: signature, tree, manifests (archive_reader.c)
 *   2. every line of its note is of a key that the manifests state, and holds; the root of an earlier visit is in its
 *   tree 3. list all names: what should be there is, with its length, and what is there should be
 *   4. deep: all manifests and roots from the first; all packs, byte for byte
 *   5. trees of partitions from batch tables: against manifests, checkpoints, tiles, and the earlier visit
 */
#include "archive_verify_internal.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define PARENTS_MAX 64u

/* --- findings ----------------------------------------------------------------------------------------------------- */

/* The object that a text names: the first word that begins with an id and a slash. */
static void object_in(const char *text, char object[EL_ARCHIVE_KEY_MAX])
{
    static const char digits[] = "0123456789abcdef";
    object[0] = '\0';
    for (const char *p = text; *p != '\0'; p++) {
        if (strspn(p, digits) == 32 && p[32] == '/') {
            size_t len = strspn(p, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._/-");
            len = len < EL_ARCHIVE_KEY_MAX ? len : EL_ARCHIVE_KEY_MAX - 1;
            memcpy(object, p, len);
            object[len] = '\0';
            return;
        }
    }
}

static void name_of(const struct archive_state *state, const struct el_uuid *id, char name[EL_TOPIC_NAME_MAX + 1])
{
    const struct archive_topic *topic = state == NULL ? NULL : archive_state_topic(state, id);
    if (topic != NULL) {
        memcpy(name, topic->now.name.data, topic->now.name.len);
        name[topic->now.name.len] = '\0';
    } else {
        el_hex(name, id->bytes, 16);
    }
}

void verify_find(struct verify *v, const struct archive_state *state, struct place place, const char *format, ...)
{
    va_list args;
    struct archive_report *report = v->report;
    (void)pthread_mutex_lock(&v->lock);
    report->finding_total++;
    if (report->finding_count < ARCHIVE_FINDINGS_MAX) {
        struct archive_finding *more = el_realloc(report->findings,
                                                  (report->finding_count + 1) * sizeof(*report->findings));
        if (more != NULL) {
            report->findings = more;
            struct archive_finding *f = &more[report->finding_count++];
            *f = (struct archive_finding){
                .partition = -1, .offset = place.offset_1 - 1, .byte = (int64_t)place.byte_1 - 1};
            va_start(args, format);
            (void)vsnprintf(f->text, sizeof(f->text), format, args);
            va_end(args);
            if (place.object != NULL) {
                (void)snprintf(f->object, sizeof(f->object), "%s", place.object);
            } else {
                object_in(f->text, f->object);
            }
            if (place.topic_id != NULL) {
                name_of(state, place.topic_id, f->topic);
                f->partition = place.partition;
            }
        }
    }
    (void)pthread_mutex_unlock(&v->lock);
}

void verify_fail(struct verify *v, int code, const struct el_error *err)
{
    (void)pthread_mutex_lock(&v->lock);
    if (v->code == 0) {
        v->code = code;
        if (v->err != NULL && err != NULL) {
            *v->err = *err;
        }
        if (v->err != NULL && (err == NULL || err->code == 0)) {
            (void)el_error_set(v->err, code, "%s",
                               code == EVLOG_ERR_NO_MEMORY ? "no memory to verify" : "verifying failed");
        }
    }
    (void)pthread_mutex_unlock(&v->lock);
    atomic_store(&v->stop, true);
}

bool verify_settle(struct verify *v, const struct archive_state *state, int code, const struct el_error *err,
                   struct place place)
{
    if (code == 0) {
        return true;
    }
    if (code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_NOT_FOUND || code == EVLOG_ERR_FORMAT ||
        code == EVLOG_ERR_TRUNCATED || code == EVLOG_ERR_LIMIT || code == EVLOG_ERR_MALFORMED) {
        verify_find(v, state, place, "%s", err->text);
        return true;
    }
    verify_fail(v, code, err);
    return false;
}

void verify_progress(struct verify *v, uint64_t len)
{
    (void)pthread_mutex_lock(&v->lock);
    v->report->read_len += len;
    if (v->options->progress != NULL) {
        v->options->progress(v->options->progress_arg, v->report->read_len, v->total);
    }
    (void)pthread_mutex_unlock(&v->lock);
}

/* --- threads ------------------------------------------------------------------------------------------------------ */

struct worker {
    struct check *c;
    void (*fn)(struct check *c);
    pthread_t thread;
    bool runs;
};

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    w->fn(w->c);
    return NULL;
}

void verify_run(struct check *c, void (*fn)(struct check *c))
{
    struct worker workers[ARCHIVE_THREADS_MAX];
    uint32_t count = EL_MIN(EL_MAX(c->v->options->threads, 1u), ARCHIVE_THREADS_MAX);
    atomic_store(&c->next, 0);
    for (uint32_t i = 1; i < count; i++) {
        workers[i] = (struct worker){.c = c, .fn = fn};
        workers[i].runs = pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]) == 0;
    }
    fn(c);
    for (uint32_t i = 1; i < count; i++) {
        if (workers[i].runs) {
            (void)pthread_join(workers[i].thread, NULL);
        }
    }
}

/* --- notes -------------------------------------------------------------------------------------------------------- */

bool verify_note(const struct archive_state *state, const struct el_uuid *cluster, struct el_slice note)
{
    char name[EL_ARCHIVE_KEY_MAX];
    size_t lines = 0, held = 0;
    const uint8_t *split = memmem(note.data, note.len, "\n\n", 2);
    if (split == NULL) {
        return false;
    }
    for (const uint8_t *p = split + 2; p < note.data + note.len; p++) {
        lines += *p == '\n';
    }
    el_archive_key_name(name, cluster);
    for (size_t i = 0; i < state->key_count; i++) {
        const struct el_manifest_key *key = &state->keys[i].now;
        struct el_public_key pub = {.kind = (enum el_sign_kind)key->kind, .len = key->bytes.len};
        if ((key->kind != EL_SIGN_ED25519 && key->kind != EL_SIGN_ECDSA_P256) || key->bytes.len > sizeof(pub.bytes)) {
            continue;
        }
        memcpy(pub.bytes, key->bytes.data, key->bytes.len);
        int code = el_note_verify(note, el_slice_str(name), &pub, 1, NULL);
        if (code != 0 && code != EVLOG_ERR_NOT_FOUND) {
            return false;
        }
        held += code == 0;
    }
    return held > 0 && held == lines;
}

/* --- an earlier visit --------------------------------------------------------------------------------------------- */

/* Is the root that was saved in the tree of this incarnation's? */
static void check_since(struct check *c, const struct archive_root *since)
{
    struct verify *v = c->v;
    const struct archive_root *root = archive_reader_root(c->reader);
    struct archive_tree tree = {.store = v->store, .incarnation = root->incarnation, .of_manifests = true};
    struct el_error err = {0};
    if (since->sequence > root->sequence) {
        verify_find(v, c->state, (struct place){.object = NULL},
                    c->child == NULL ? "the archive was rolled back: its newest root is %" PRIu64 ", and root %" PRIu64
                                       " was seen before"
                                     : "the archive goes on from root %" PRIu64
                                       " of an older one, of which root %" PRIu64
                                       " was seen before: what came behind is not part of it",
                    root->sequence, since->sequence);
        return;
    }
    int code = archive_tiles_consistent(&tree, since->sequence, &since->hash, root->sequence, &root->hash, &err);
    if (code == 0) {
        code = archive_state_load(v->store, &root->incarnation, since->sequence, &since->hash, &c->since, &err);
    }
    if (code == 0) {
        code = archive_state_continues(c->since, c->state, &err);
    }
    (void)verify_settle(v, c->state, code, &err, (struct place){.object = NULL});
}

/* --- one incarnation ---------------------------------------------------------------------------------------------- */

static int check_open(struct check *c)
{
    size_t count = c->state->partitions.count;
    el_map_init(&c->names, NULL);
    el_map_init(&c->trees, NULL);
    c->objects = el_calloc(EL_MAX(c->state->object_count, 1u), sizeof(*c->objects));
    c->all_trees = el_calloc(EL_MAX(count, 1u), sizeof(*c->all_trees));
    if (c->objects == NULL || c->all_trees == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < c->state->object_count; i++) {
        struct seen_object *seen = &c->objects[i];
        seen->object = archive_object_at(c->state, i).now;
        el_archive_key_object(seen->key, &c->state->header.incarnation, &seen->object);
        int code = el_map_put(&c->names, seen->key, strlen(seen->key), seen);
        if (code == EVLOG_ERR_EXISTS) {
            verify_find(c->v, c->state, (struct place){.object = seen->key}, "two objects have this name");
        } else if (code != 0) {
            return code;
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct seen_tree *tree = &c->all_trees[i];
        tree->partition = c->state->partitions.entries[i].value;
        memcpy(tree->key, tree->partition->key, sizeof(tree->key));
        if (el_map_put(&c->trees, tree->key, sizeof(tree->key), tree) != 0) {
            return EVLOG_ERR_NO_MEMORY;
        }
    }
    c->next_root = c->next_manifest = 1;
    return 0;
}

static void tree_free(struct seen_tree *tree)
{
    el_free(tree->tiles);
    el_free(tree->sizes);
    el_free(tree->expected);
}

static void check_close(struct check *c)
{
    for (size_t i = 0; c->all_trees != NULL && i < c->state->partitions.count; i++) {
        tree_free(&c->all_trees[i]);
    }
    tree_free(&c->manifests);
    for (size_t i = 0; i < c->orphan_count; i++) {
        el_free(c->orphans[i]);
    }
    el_free(c->orphans);
    el_map_destroy(&c->names);
    el_map_destroy(&c->trees);
    el_free(c->objects);
    el_free(c->all_trees);
    archive_state_free(c->since);
}

static int note_redactions(struct check *c)
{
    struct archive_report *report = c->v->report;
    size_t count = c->state->redaction_count;
    if (count == 0) {
        return 0;
    }
    struct archive_redacted *more = el_realloc(report->redactions,
                                               (report->redaction_count + count) * sizeof(*report->redactions));
    if (more == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    report->redactions = more;
    for (size_t i = 0; i < count; i++) {
        struct archive_redacted *r = &more[report->redaction_count];
        *r = (struct archive_redacted){.redaction = c->state->redactions[i].now};
        r->reason = el_memdup(r->redaction.reason.data, r->redaction.reason.len);
        if (r->reason == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        r->redaction.reason.data = r->reason;
        report->redaction_count++;
    }
    return 0;
}

static int note_retired(struct check *c)
{
    struct archive_report *report = c->v->report;
    for (size_t i = 0; i < c->state->partitions.count; i++) {
        const struct archive_partition *p = c->state->partitions.entries[i].value;
        if (p->retired->tree.size == 0) {
            continue;
        }
        struct archive_retired *more = el_realloc(report->retired, (report->retired_count + 1) * sizeof(*more));
        if (more == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        report->retired = more;
        more[report->retired_count++] = (struct archive_retired){.first_offset = p->now.start_offset,
                                                                 .retired = *p->retired};
    }
    return 0;
}

static void count_all(struct check *c)
{
    struct archive_report *report = c->v->report;
    report->incarnations++;
    if (c->child == NULL) {
        report->root = *archive_reader_root(c->reader);
        report->cut_ns = c->state->header.cut_ns;
        report->made_ms = c->state->header.made_ms;
        report->topics = c->state->topics.count;
        report->partitions = c->state->partitions.count;
    }
    for (size_t i = 0; i < c->state->object_count; i++) {
        c->v->total += c->v->options->deep ? archive_object_at(c->state, i).now.len : 0;
    }
}

/* since: the saved root, or NULL; taken when it is of this incarnation. */
static void check_incarnation(struct verify *v, struct archive_reader *reader, const struct archive_reader *child,
                              const struct archive_root **since)
{
    struct check check = {.v = v, .reader = reader, .state = reader->state, .child = child}, *c = &check;
    const struct archive_root *root = archive_reader_root(reader);
    count_all(c);
    if (child == NULL && !verify_note(c->state, &root->cluster, el_slice_of(root->note, root->note_len))) {
        char key[EL_ARCHIVE_KEY_MAX];
        el_archive_key_root(key, &root->incarnation, root->sequence);
        verify_find(v, c->state, (struct place){.object = key},
                    "it has a line that does not hold, or of a key that no manifest states");
    }
    if (*since != NULL && el_uuid_eq(&(*since)->incarnation, &root->incarnation)) {
        check_since(c, *since);
        *since = NULL;
    }
    int code = check_open(c);
    code = code == 0 ? note_redactions(c) : code;
    code = code == 0 ? note_retired(c) : code;
    if (code != 0) {
        verify_fail(v, code, NULL);
    }
    void (*const steps[])(struct check *) = {verify_list, verify_history, verify_packs, verify_trees, verify_orphans};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !verify_stopped(v); i++) {
        steps[i](c);
    }
    check_close(c);
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

/* The root of an earlier visit must have been signed by whom the archive trusts now or then. */
static int since_parse(const struct archive_verify_options *options, struct archive_root *since, struct el_error *err)
{
    int code = archive_root_parse(options->since, since, err);
    if (code != 0) {
        el_error_wrap(err, "the note of an earlier visit");
        return EVLOG_ERR_ARGUMENT;
    }
    return 0;
}

static void check_all(struct verify *v, struct archive_reader *reader, const struct archive_root *since)
{
    struct archive_reader *at = reader, *child = NULL;
    struct el_error err = {0};
    if (since != NULL && !el_uuid_eq(&since->cluster, &reader->root.cluster)) {
        verify_find(v, reader->state, (struct place){.object = NULL},
                    "the note of an earlier visit is of another cluster");
        since = NULL;
    }
    for (uint32_t i = 0; at != NULL && i < PARENTS_MAX && !verify_stopped(v); i++) {
        check_incarnation(v, at, child, &since);
        child = at;
        struct archive_reader *parent = NULL;
        int code = archive_reader_parent(child, &parent, &err);
        if (!verify_settle(v, child->state, code, &err, (struct place){.object = NULL})) {
            return;
        }
        at = code == 0 ? parent : NULL;
    }
    if (since != NULL && !verify_stopped(v)) {
        verify_find(v, reader->state, (struct place){.object = NULL},
                    "the archive that was seen before is not this one, and none that it continues");
    }
}

int archive_verify(struct object_store *store, const struct archive_verify_options *options,
                   struct archive_report *report, struct el_error *err)
{
    struct archive_root *since = NULL;
    struct archive_reader *reader = NULL;
    struct el_error open_err = {0};
    *report = (struct archive_report){.proven = false};
    if (options->key_count == 0 || options->key_count > EL_SIGN_KEYS_MAX) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT, "verifying needs 1 to %u public keys", EL_SIGN_KEYS_MAX);
    }
    struct verify verify = {.store = store, .options = options, .report = report, .err = err}, *v = &verify;
    (void)pthread_mutex_init(&v->lock, NULL);
    if (options->since.len > 0) {
        since = el_malloc(sizeof(*since));
        v->code = since == NULL ? EVLOG_ERR_NO_MEMORY : since_parse(options, since, err);
    }
    struct archive_reader_options open = {.keys = options->keys,
                                          .key_count = options->key_count,
                                          .incarnation = options->incarnation,
                                          .sequence = options->sequence};
    if (v->code == 0) {
        int code = archive_reader_open(store, &open, &reader, &open_err);
        char object[EL_ARCHIVE_KEY_MAX] = "";
        object_in(open_err.text, object);
        if (code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_FORMAT || code == EVLOG_ERR_TRUNCATED ||
            (code == EVLOG_ERR_NOT_FOUND && object[0] != '\0')) {
            verify_find(v, NULL, (struct place){.object = NULL}, "%s", open_err.text);
        } else if (code != 0) {
            verify_fail(v, code, &open_err);
        }
    }
    if (reader != NULL) {
        report->since_sequence = since == NULL ? 0 : since->sequence;
        check_all(v, reader, since);
        report->state = archive_reader_take_state(reader);
    }
    el_free(since);
    (void)pthread_mutex_destroy(&v->lock);
    report->proven = v->code == 0 && report->finding_total == 0;
    return v->code;
}

void archive_report_free(struct archive_report *report)
{
    el_free(report->findings);
    el_free(report->gaps);
    for (size_t i = 0; i < report->redaction_count; i++) {
        el_free(report->redactions[i].reason);
    }
    el_free(report->redactions);
    el_free(report->retired);
    archive_state_free(report->state);
    *report = (struct archive_report){.proven = false};
}
