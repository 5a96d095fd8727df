/* SPDX-License-Identifier: Apache-2.0
 *
 * Trials: the verdict comes through a pipe; a process that died without one has failed with what it last said.
 */
#include "trial.h"

#include "archive_main.h"
#include "broker_main.h"
#include "lease_main.h"
#include "life.h"
#include "stream_main.h"
#include <core/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

uint64_t trial_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void verdict_take(struct verdict *v, struct world *w)
{
    world_tally(w);
    v->seed = w->seed;
    v->good = w->violation[0] == 0;
    v->hash = w->trace->hash;
    v->event_count = w->trace->event_count;
    v->steps = w->steps;
    v->virtual_ns = w->clock.now_ns;
    v->shards = w->shard_count;
    memcpy(v->faults, sim_disk_fault_counts(w->disk), sizeof(v->faults));
    memcpy(v->events, w->events, sizeof(v->events));
    snprintf(v->text, sizeof(v->text), "%s", w->violation);
}

void trial_here(const struct plan *plan, struct verdict *v)
{
    if (plan->mode == MODE_BROKER) {
        broker_trial(plan, v);
        return;
    }
    if (plan->mode == MODE_LEASE) {
        lease_trial(plan, v);
        return;
    }
    if (plan->mode == MODE_STREAM) {
        stream_trial(plan, v);
        return;
    }
    if (plan->mode == MODE_ARCHIVE) {
        archive_trial(plan, v);
        return;
    }
    struct life *l = malloc(sizeof(*l));
    EL_ASSERT(l != NULL);
    memset(v, 0, sizeof(*v));
    life_run(l, plan);
    verdict_take(v, &l->w);
    v->batches = l->m.events_stored;
    v->crashes = l->boot.crashes;
    v->lives = l->lives;
    v->steps_longest = l->steps_longest;
    v->topics = l->m.topic_count;
    v->producers = l->producers.count;
    life_free(l);
    free(l);
}

void trial_begin(struct trial *trial, const struct plan *plan, uint64_t most_ms)
{
    int ends[2];
    int rc = pipe2(ends, O_CLOEXEC);
    EL_ASSERT(rc == 0);
    trial->log = memfd_create("log", MFD_CLOEXEC);
    EL_ASSERT(trial->log >= 0);
    fflush(stdout);
    trial->pid = fork();
    EL_ASSERT(trial->pid >= 0);
    if (trial->pid == 0) {
        struct verdict verdict;
        mallopt(M_MMAP_THRESHOLD, 32 << 20); /* files grow and shrink all the time: keep their pages */
        mallopt(M_TRIM_THRESHOLD, 512 << 20);
        mallopt(M_TOP_PAD, 16 << 20);
        signal(SIGABRT, SIG_DFL);
        dup2(trial->log, 2);
        trial_here(plan, &verdict);
        ssize_t done = write(ends[1], &verdict, sizeof(verdict));
        _exit(done == (ssize_t)sizeof(verdict) ? 0 : 1);
    }
    close(ends[1]);
    trial->fd = ends[0];
    trial->seed = plan->seed;
    trial->deadline_ms = trial_now_ms() + most_ms;
}

/* The last line that a dead process wrote, or how it died. */
static void last_words(const struct trial *trial, int status, char *text, size_t text_len)
{
    char log[4096] = "";
    off_t end = lseek(trial->log, 0, SEEK_END);
    off_t from = EL_MAX(0, end - (off_t)sizeof(log) + 1);
    ssize_t len = pread(trial->log, log, sizeof(log) - 1, from);
    while (len > 0 && log[len - 1] == '\n') {
        len--;
    }
    log[EL_MAX(len, 0)] = 0;
    const char *report = strstr(log, "runtime error: "), *start = strrchr(log, '\n');
    if (report == NULL) {
        report = strstr(log, "ERROR: AddressSanitizer");
    }
    const char *line = report != NULL ? report : start != NULL ? start + 1 : log;
    if (line[0] != 0) {
        snprintf(text, text_len, "%.*s", (int)strcspn(line, "\n"), line);
    } else {
        snprintf(text, text_len, "died with wait status %x", (unsigned)status);
    }
}

void trial_end(struct trial *trial, struct verdict *v)
{
    struct pollfd poll_fd = {.fd = trial->fd, .events = POLLIN};
    uint64_t now_ms = trial_now_ms();
    int ready = poll(&poll_fd, 1, now_ms < trial->deadline_ms ? (int)(trial->deadline_ms - now_ms) : 0);
    if (ready <= 0) {
        kill(trial->pid, SIGKILL);
    }
    ssize_t len = read(trial->fd, v, sizeof(*v));
    int status = 0;
    while (waitpid(trial->pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (len != (ssize_t)sizeof(*v)) {
        memset(v, 0, sizeof(*v));
        v->seed = trial->seed;
        if (ready <= 0) {
            snprintf(v->text, sizeof(v->text), "it does not end");
        } else {
            last_words(trial, status, v->text, sizeof(v->text));
        }
    }
    close(trial->fd);
    close(trial->log);
    trial->pid = 0;
}
