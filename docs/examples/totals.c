/* SPDX-License-Identifier: Apache-2.0
 *
 * A projection into a store of the program's own: how many events of each type a topic holds, in a file that is written
 * anew by every transaction, together with the place in the log. Each event is counted exactly once, whenever the
 * program is killed.
 *
 *     build/examples/totals TOPIC FILE [stop|skip|dead-letter]
 *
 * An event of the type "bad" cannot be counted here; the last argument says what becomes of it.
 */
#define _DEFAULT_SOURCE

#include <errno.h>
#include <evlog/evlog.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define MAX 256

/* What a transaction changes: all of it, or nothing. */
struct state {
    long long generation, fence; /* of the last claim; 0: nobody has run it */
    struct {
        char topic[250], last_id[EVLOG_PROJECTION_ID_MAX];
        char topic_id[33];
        int partition, leader_epoch, whole;
        long long next_offset, append_time_ns, history_offset;
    } places[MAX];
    int place_count;
    struct {
        char type[128];
        long long count;
    } totals[MAX];
    int total_count;
};

struct store {
    struct evlog_projection_store base; /* first, so that a pointer to it is one to the store */
    char path[1024], next[1040];
    int lock;
    struct state saved, now; /* as the file has it, as the present transaction has it */
    long long history;
};

static int fault(struct evlog_failure *failure, int code, const char *text)
{
    if (failure != NULL) {
        failure->code = code;
        snprintf(failure->text, sizeof failure->text, "%s", text);
    }
    return code;
}

/* --- the file ----------------------------------------------------------------------------------------------------- */

static void load(struct store *s)
{
    struct state *state = &s->saved;
    char line[2048];
    FILE *file = fopen(s->path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        int p = state->place_count, t = state->total_count;
        if (p < MAX && sscanf(line, "place %249s %d %32s %d %d %lld %lld %lld %255[^\n]", state->places[p].topic,
                              &state->places[p].partition, state->places[p].topic_id, &state->places[p].leader_epoch,
                              &state->places[p].whole, &state->places[p].next_offset, &state->places[p].append_time_ns,
                              &state->places[p].history_offset, state->places[p].last_id) >= 8) {
            state->place_count++;
        } else if (t < MAX &&
                   sscanf(line, "total %lld %127[^\n]", &state->totals[t].count, state->totals[t].type) == 2) {
            state->total_count++;
        } else {
            (void)sscanf(line, "claim %lld %lld", &state->generation, &state->fence);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

/* Beside, then in its place: a reader, and a crash, find the old one or the new one. */
static int keep(struct store *s, struct evlog_failure *failure)
{
    const struct state *state = &s->now;
    FILE *file = fopen(s->next, "w");
    if (file == NULL) {
        return fault(failure, EVLOG_ERR_DATABASE, strerror(errno));
    }
    fprintf(file, "claim %lld %lld\n", state->generation, state->fence);
    for (int i = 0; i < state->place_count; i++) {
        fprintf(file, "place %s %d %s %d %d %lld %lld %lld %s\n", state->places[i].topic, state->places[i].partition,
                state->places[i].topic_id, state->places[i].leader_epoch, state->places[i].whole,
                state->places[i].next_offset, state->places[i].append_time_ns, state->places[i].history_offset,
                state->places[i].last_id);
    }
    for (int i = 0; i < state->total_count; i++) {
        fprintf(file, "total %lld %s\n", state->totals[i].count, state->totals[i].type);
    }
    int bad = fflush(file) != 0 || fsync(fileno(file)) != 0;
    bad = fclose(file) != 0 || bad;
    if (bad || rename(s->next, s->path) != 0) {
        return fault(failure, EVLOG_ERR_DATABASE, strerror(errno));
    }
    s->saved = s->now;
    return 0;
}

/* --- what a store must be able to do ------------------------------------------------------------------------------ */

static int begin(struct evlog_projection_store *store, struct evlog_failure *failure)
{
    struct store *s = (struct store *)store;
    (void)failure;
    s->now = s->saved;
    return 0;
}

static int commit(struct evlog_projection_store *store, struct evlog_failure *failure)
{
    return keep((struct store *)store, failure);
}

static void rollback(struct evlog_projection_store *store)
{
    struct store *s = (struct store *)store;
    s->now = s->saved;
}

/* One runner at a time: the lock ends with the process, so nothing has to be renewed. */
static int claim(struct evlog_projection_store *store, const struct evlog_projection_claim *claimed,
                 struct evlog_projection_lease *lease, struct evlog_failure *failure)
{
    struct store *s = (struct store *)store;
    if (flock(s->lock, LOCK_EX | LOCK_NB) != 0) {
        return fault(failure, EVLOG_ERR_CONFLICT, "another process counts into this file");
    }
    load(s);
    s->now = s->saved;
    bool fresh = s->now.generation == 0;
    s->now.generation = 1;
    s->now.fence++;
    *lease = (struct evlog_projection_lease){.generation = 1, .fence = s->now.fence, .fresh = fresh};
    snprintf(lease->name, sizeof lease->name, "%s", claimed->name);
    return keep(s, failure);
}

static int renew(struct evlog_projection_store *store, const struct evlog_projection_lease *lease, bool *paused,
                 struct evlog_failure *failure)
{
    (void)store, (void)lease, (void)failure;
    *paused = false;
    return 0;
}

static int give_back(struct evlog_projection_store *store, const struct evlog_projection_lease *lease,
                     const char *error, struct evlog_failure *failure)
{
    (void)lease, (void)error, (void)failure;
    flock(((struct store *)store)->lock, LOCK_UN);
    return 0;
}

/* A place moves only from where it is known to be. */
static int save(struct evlog_projection_store *store, const struct evlog_projection_lease *lease,
                const struct evlog_projection_move *moves, size_t move_count, const struct evlog_projection_gain *gain,
                struct evlog_failure *failure)
{
    struct state *now = &((struct store *)store)->now;
    (void)gain;
    for (size_t m = 0; m < move_count; m++) {
        const struct evlog_projection_position *position = &moves[m].position;
        int i = 0;
        while (i < now->place_count && (now->places[i].partition != position->partition ||
                                        strcmp(now->places[i].topic, position->topic) != 0)) {
            i++;
        }
        long long old = i == now->place_count ? -1 : now->places[i].next_offset;
        if (i == MAX || old != moves[m].old_offset || now->fence != lease->fence) {
            return fault(failure, i == MAX ? EVLOG_ERR_LIMIT : EVLOG_ERR_CONFLICT, "the place is another one");
        }
        now->place_count += i == now->place_count;
        now->places[i].partition = position->partition;
        now->places[i].leader_epoch = position->leader_epoch;
        now->places[i].whole = position->whole;
        now->places[i].next_offset = position->next_offset;
        now->places[i].append_time_ns = position->append_time_ns;
        now->places[i].history_offset = position->history_offset;
        snprintf(now->places[i].topic, sizeof now->places[i].topic, "%s", position->topic);
        snprintf(now->places[i].last_id, sizeof now->places[i].last_id, "%s", position->last_id);
        for (int b = 0; b < 16; b++) {
            snprintf(now->places[i].topic_id + 2 * b, 3, "%02x", position->topic_id[b]);
        }
    }
    return 0;
}

static int positions(struct evlog_projection_store *store, const char *name, evlog_projection_position_fn fn, void *arg,
                     struct evlog_failure *failure)
{
    const struct state *saved = &((struct store *)store)->saved;
    int rc = 0;
    (void)name, (void)failure;
    for (int i = 0; rc == 0 && i < saved->place_count; i++) {
        struct evlog_projection_position position = {
            .topic = saved->places[i].topic,
            .partition = saved->places[i].partition,
            .leader_epoch = saved->places[i].leader_epoch,
            .next_offset = saved->places[i].next_offset,
            .append_time_ns = saved->places[i].append_time_ns,
            .history_offset = saved->places[i].history_offset,
            .whole = saved->places[i].whole != 0,
        };
        snprintf(position.last_id, sizeof position.last_id, "%s", saved->places[i].last_id);
        for (int b = 0; b < 16; b++) {
            unsigned byte = 0;
            (void)sscanf(saved->places[i].topic_id + 2 * b, "%2x", &byte);
            position.topic_id[b] = (uint8_t)byte;
        }
        rc = fn(arg, &position);
    }
    return rc;
}

static const struct evlog_projection_store_calls calls = {
    .size = sizeof calls,
    .claim = claim,
    .renew = renew,
    .release = give_back,
    .begin = begin,
    .save = save,
    .commit = commit,
    .rollback = rollback,
    .positions = positions,
};

/* --- the projection ----------------------------------------------------------------------------------------------- */

static int on_event(void *arg, struct evlog_projection_store *store, const struct evlog_projection_event *event,
                    struct evlog_failure *failure)
{
    struct store *s = arg;
    struct state *now = &s->now;
    char type[128];
    int i = 0;
    (void)store;
    snprintf(type, sizeof type, "%.*s", (int)event->type.len,
             event->type.data == NULL ? "" : (const char *)event->type.data);
    if (strcmp(type, "bad") == 0) {
        return fault(failure, EVLOG_ERR_INVALID_RECORD, "events of the type bad are not counted");
    }
    while (i < now->total_count && strcmp(now->totals[i].type, type) != 0) {
        i++;
    }
    if (i == MAX) {
        return fault(failure, EVLOG_ERR_LIMIT, "too many types");
    }
    if (i == now->total_count) {
        now->total_count++;
        now->totals[i].count = 0;
        memcpy(now->totals[i].type, type, sizeof type);
    }
    now->totals[i].count++;
    s->history += event->replaying;
    return 0;
}

int main(int argc, char **argv)
{
    static struct store s = {.base = {&calls}};
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_projection_options options = EVLOG_PROJECTION_OPTIONS_INIT;
    struct evlog_projection_counts counts = {0};
    struct evlog_settings *settings = NULL;
    struct evlog_client *client = NULL;
    struct evlog_projection *projection = NULL;
    const char *topic = argc > 1 ? argv[1] : NULL, *on_error = argc > 3 ? argv[3] : "stop";
    if (argc < 3) {
        fprintf(stderr, "usage: totals TOPIC FILE [stop|skip|dead-letter]\n");
        return 2;
    }
    snprintf(s.path, sizeof s.path, "%s", argv[2]);
    snprintf(s.next, sizeof s.next, "%s.next", argv[2]);
    char lock[1040];
    snprintf(lock, sizeof lock, "%s.lock", argv[2]);
    s.lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    options.name = "totals";
    options.topics = &topic;
    options.topic_count = 1;
    options.on_event = on_event;
    options.arg = &s;
    options.until_caught_up = true;
    options.batch_count_max = 100;
    options.retry_max = 2;
    options.retry_backoff_ms = 1;
    options.on_error = strcmp(on_error, "skip") == 0          ? EVLOG_PROJECTION_SKIP
                       : strcmp(on_error, "dead-letter") == 0 ? EVLOG_PROJECTION_DEAD_LETTER
                                                              : EVLOG_PROJECTION_STOP;
    const char *bootstrap = getenv("EVLOG_BOOTSTRAP__SERVERS");
    int rc = evlog_settings_new(&settings);
    if (rc == 0 && bootstrap != NULL) {
        rc = evlog_settings_set(settings, "bootstrap.servers", bootstrap, &failure);
    }
    rc = rc != 0 ? rc : evlog_client_open(settings, &client, &failure);
    evlog_settings_free(settings);
    rc = rc != 0 ? rc : evlog_projection_open(client, &s.base, &options, &projection, &failure);
    rc = rc != 0 ? rc : evlog_projection_run(projection, &failure);
    if (projection != NULL) {
        evlog_projection_counts(projection, &counts);
        evlog_projection_close(projection, NULL);
    }
    printf("%llu counted, %lld of them history, %llu skipped, %llu dead letters, %llu tried again\n",
           (unsigned long long)counts.applied, s.history, (unsigned long long)counts.skipped,
           (unsigned long long)counts.dead, (unsigned long long)counts.retries);
    for (int i = 0; i < s.saved.total_count; i++) {
        printf("%s %lld\n", s.saved.totals[i].type, s.saved.totals[i].count);
    }
    if (rc != 0) {
        fprintf(stderr, "totals: %s\n%s\n", failure.text, failure.hint);
    }
    evlog_client_close(client);
    return rc == 0 ? 0 : 1;
}
