/* SPDX-License-Identifier: Apache-2.0
 *
 * A second generation beside the live one: to take its place (rebuild), or to be compared with it (verify). Both run
 * the very same handlers on a place of their own in the store.
 *
 * The rebuild catches up with the log and asks the store for the swap, which refuses while the live one is ahead; after
 * a few such races it has the live one stopped first. What an interrupted rebuild has done is gone on from.
 */
#include "fail.h"
#include "projection_state.h"

#include <core/alloc.h>
#include <stdio.h>
#include <time.h>

#define SWAP_TRIES 20
#define SWAP_TRIES_FRIENDLY 3 /* then the live one is stopped */
#define COMPARE_TRIES 10
#define SWAP_AGAIN_MS 100 /* in a database that is held by somebody else */

/* The live checkpoint, kept. */
struct vector {
    struct evlog_projection_position *positions; /* [count]; topics are owned */
    size_t count;
};

static void vector_free(struct vector *vector)
{
    for (size_t i = 0; i < vector->count; i++) {
        el_free((void *)(uintptr_t)vector->positions[i].topic);
    }
    el_free(vector->positions);
    *vector = (struct vector){.positions = NULL};
}

static int keep_position(void *arg, const struct evlog_projection_position *position)
{
    struct vector *vector = arg;
    if (position->lane_count > 0) {
        return 0;
    }
    struct evlog_projection_position *grown = el_realloc(vector->positions, (vector->count + 1) * sizeof *grown);
    char *topic = el_strdup(position->topic);
    vector->positions = grown == NULL ? vector->positions : grown;
    if (grown == NULL || topic == NULL) {
        el_free(topic);
        return EVLOG_ERR_NO_MEMORY;
    }
    grown[vector->count] = *position;
    grown[vector->count++].topic = topic;
    return 0;
}

/* What the live one has applied is history beside it, and no more than that. */
static void take_history(struct evlog_projection *projection, const struct vector *live)
{
    for (uint32_t i = 0; live->count > 0 && i < projection->feed_count; i++) {
        struct el_projection_feed *feed = &projection->feeds[i];
        feed->saved.history_offset = feed->start_offset;
        for (size_t j = 0; j < live->count; j++) {
            const struct evlog_projection_position *position = &live->positions[j];
            if (position->partition == feed->saved.partition && strcmp(position->topic, feed->saved.topic) == 0) {
                feed->saved.history_offset = position->next_offset;
            }
        }
    }
}

/* Run the projection on a staged place to its end. */
static int run_beside(struct evlog_client *client, struct evlog_projection_store *staged,
                      const struct evlog_projection_options *options, const struct vector *live,
                      struct evlog_failure *failure)
{
    struct evlog_projection *projection;
    int rc = evlog_projection_open(client, staged, options, &projection, failure);
    if (rc != 0) {
        return rc;
    }
    take_history(projection, live);
    rc = evlog_projection_run(projection, failure);
    int closed = evlog_projection_close(projection, rc == 0 ? failure : NULL);
    return rc != 0 ? rc : closed;
}

static int take_row(void *arg, const struct evlog_projection_row *row)
{
    *(struct evlog_projection_row *)arg = *row;
    return 0;
}

static int no_place(const struct evlog_projection_options *options, struct evlog_failure *failure)
{
    return el_fail(failure, EVLOG_ERR_UNSUPPORTED, "the store of projection %s has no place beside the live one",
                   options->name);
}

/* --- rebuild ------------------------------------------------------------------------------------------------------ */

/* The place of a rebuild: the one that is there when it is of this definition, else an empty one. */
static int stage_next(struct evlog_projection_store *store, const struct evlog_projection_options *options,
                      struct evlog_projection_store **staged, struct evlog_failure *failure)
{
    struct evlog_projection_row row = {.name = ""};
    int rc = store->calls->stage(store, options->name, "next", false, staged, failure);
    if (rc != 0) {
        return rc;
    }
    rc = (*staged)->calls->rows(*staged, options->name, take_row, &row, NULL);
    if (rc == EVLOG_ERR_NOT_FOUND) {
        return 0;
    }
    if (rc == 0 && row.running) {
        (*staged)->calls->close(*staged, false);
        return el_fail(failure, EVLOG_ERR_CONFLICT, "projection %s is being rebuilt by %s", options->name, row.who);
    }
    if (rc == 0 && options->definition != NULL && strcmp(options->definition, row.definition) == 0) {
        return 0;
    }
    (*staged)->calls->close(*staged, false);
    return store->calls->stage(store, options->name, "next", true, staged, failure);
}

/* Others may read or write what is replaced. */
static int swap(struct evlog_projection_store *store, struct evlog_projection_store *staged,
                const struct evlog_projection_options *options, struct evlog_projection_lease *lease,
                struct evlog_failure *failure)
{
    int64_t deadline_ns = el_deadline(options->store_patience_ms);
    int rc = store->calls->swap(store, staged, options->name, lease, failure);
    while (el_projection_may_pass(rc) && el_now_ns() < deadline_ns) {
        struct timespec step = {0, SWAP_AGAIN_MS * EL_NS_PER_MS};
        (void)nanosleep(&step, NULL);
        rc = store->calls->swap(store, staged, options->name, lease, failure);
    }
    return rc;
}

/* Catch up, and ask for the swap. */
static int rebuild_once(struct evlog_client *client, struct evlog_projection_store *store,
                        struct evlog_projection_store *staged, const struct evlog_projection_options *options,
                        struct evlog_projection_lease *lease, struct evlog_failure *failure)
{
    struct vector live = {.positions = NULL};
    int rc = store->calls->positions(store, options->name, keep_position, &live, failure);
    if (rc == 0 || rc == EVLOG_ERR_NOT_FOUND) {
        rc = run_beside(client, staged, options, &live, failure);
    }
    vector_free(&live);
    return rc == 0 ? swap(store, staged, options, lease, failure) : rc;
}

int evlog_projection_rebuild(struct evlog_client *client, struct evlog_projection_store *store,
                             const struct evlog_projection_options *given, struct evlog_failure *failure)
{
    struct evlog_projection_options options = EVLOG_PROJECTION_OPTIONS_INIT;
    struct evlog_projection_store *staged;
    struct evlog_projection_lease taken = {.name = ""};
    if (!EL_OPTIONS_TAKE(&options, given)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options were not initialised");
    }
    if (store->calls->stage == NULL || store->calls->swap == NULL) {
        return no_place(&options, failure);
    }
    options.until_caught_up = true;
    options.until = NULL;
    int rc = stage_next(store, &options, &staged, failure);
    if (rc != 0) {
        return rc;
    }
    rc = EVLOG_ERR_AGAIN;
    for (uint32_t i = 0; rc == EVLOG_ERR_AGAIN && i < SWAP_TRIES; i++) {
        rc = rebuild_once(client, store, staged, &options, i >= SWAP_TRIES_FRIENDLY ? &taken : NULL, failure);
    }
    if (rc != 0 && taken.name[0] != '\0') {
        (void)store->calls->release(store, &taken, "a rebuild stopped it, and failed", NULL);
    }
    staged->calls->close(staged, rc == 0);
    return rc;
}

/* --- verify ------------------------------------------------------------------------------------------------------- */

struct differences {
    void (*fn)(void *arg, const char *text);
    void *arg;
    uint64_t count;
};

static void on_difference(void *arg, const char *text)
{
    struct differences *differences = arg;
    differences->count++;
    if (differences->fn != NULL) {
        differences->fn(differences->arg, text);
    }
}

/* Fold up to where the live one is, and compare. */
static int compare_once(struct evlog_client *client, struct evlog_projection_store *store,
                        struct evlog_projection_store *staged, struct evlog_projection_options *options,
                        struct differences *differences, struct evlog_failure *failure)
{
    struct vector vector = {.positions = NULL};
    int rc = store->calls->positions(store, options->name, keep_position, &vector, failure);
    if (rc == 0) {
        options->until = vector.positions;
        options->until_count = vector.count;
        rc = run_beside(client, staged, options, &vector, failure);
    }
    if (rc == 0) {
        rc = store->calls->compare(store, staged, options->name, on_difference, differences, failure);
    }
    vector_free(&vector);
    return rc;
}

/* Rows that another definition made cannot be compared. */
static int check_definition(struct evlog_projection_store *store, const struct evlog_projection_options *options,
                            struct evlog_failure *failure)
{
    struct evlog_projection_row row;
    int rc = store->calls->rows(store, options->name, take_row, &row, failure);
    if (rc == 0 && options->definition != NULL && row.definition[0] != '\0' &&
        strcmp(options->definition, row.definition) != 0) {
        rc = el_fail(failure, EVLOG_ERR_CONFLICT, "projection %s has changed since its rows were made", options->name);
        el_fail_hint(failure, "verify with the file that made them, or rebuild them");
    }
    return rc;
}

int evlog_projection_verify(struct evlog_client *client, struct evlog_projection_store *store,
                            const struct evlog_projection_options *given, void (*fn)(void *arg, const char *text),
                            void *arg, uint64_t *count, struct evlog_failure *failure)
{
    struct evlog_projection_options options = EVLOG_PROJECTION_OPTIONS_INIT;
    struct evlog_projection_store *staged;
    struct differences differences = {.fn = fn, .arg = arg};
    if (!EL_OPTIONS_TAKE(&options, given)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options were not initialised");
    }
    if (store->calls->stage == NULL || store->calls->compare == NULL) {
        return no_place(&options, failure);
    }
    int rc = check_definition(store, &options, failure);
    if (rc == 0) {
        rc = store->calls->stage(store, options.name, "verify", true, &staged, failure);
    }
    if (rc != 0) {
        return rc;
    }
    options.until_caught_up = false;
    /* The event is in the dead letters already. */
    options.on_error = options.on_error == EVLOG_PROJECTION_DEAD_LETTER ? EVLOG_PROJECTION_SKIP : options.on_error;
    rc = EVLOG_ERR_AGAIN;
    for (uint32_t i = 0; rc == EVLOG_ERR_AGAIN && i < COMPARE_TRIES; i++) {
        rc = compare_once(client, store, staged, &options, &differences, failure);
    }
    staged->calls->close(staged, true);
    if (rc == EVLOG_ERR_AGAIN) {
        el_fail_hint(
            failure,
            "its runner goes on faster than it can be compared: pause it first; one that was killed: run it once more");
    }
    if (rc == 0) {
        *count = differences.count;
    }
    return rc;
}
