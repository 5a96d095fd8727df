/* SPDX-License-Identifier: Apache-2.0
 *
 * A damaged index is made anew from the log while the shard goes on.
 *
 *   1. somebody met damage: appends and questions of topics with streams are refused with STORAGE, which clients try
 *      again; what is under way comes to its end
 *   2. a job empties the list on disk. Whenever it is cut short, a start finds either list: the old one, whose damage
 *      is met again, or the empty one
 *   3. tables, heads and runs are forgotten, the runs' files go. The partitions are read from offset 0 as after a start
 *      (stream_catch.c), each refused until it is there
 *
 * Fails: a partition whose log begins above 0 cannot be read: its versions are lost, it is refused as corrupt. When the
 * list cannot be emptied, or damage comes again and again, the index has failed for good, until a restart.
 */
#include <stream/stream_state.h>

#include <core/logger.h>
#include <stdio.h>

void stream_rebuild_begin(struct streams *st, const char *what)
{
    EL_ASSERT(!st->rebuilding);
    EL_ASSERT(!st->failed);
    EL_ASSERT(st->rebuilds < STREAMS_REBUILDS_MAX);
    char *reason = st->reasons[st->rebuilds++];
    st->rebuilding = true;
    st->telling = true;
    st->work.damaged = true;
    st->work.waiting = false;
    snprintf(reason, sizeof st->reasons[0], "the stream index of shard %u is damaged and is made anew from the log: %s",
             st->index, what);
    el_log(EL_LOG_ERROR, "stream", "%s: topics with evlog.streams are refused meanwhile; look at the disk", reason);
    metrics_add(st->metrics, METRIC_STREAM_REBUILDS, 1);
    streams_refuse_all(st, reason);
}

int64_t stream_rebuild_empty(struct disk *disk, void *arg)
{
    struct streams *st = arg;
    struct stream_work *w = &st->work;
    struct index_list list = {
        .sequence = st->list_sequence, .next_run_id = st->next_run_id, .next_slot = st->next_slot};
    memcpy(list.secret_tag, st->tag, sizeof list.secret_tag);
    stream_flush_drop(w);
    index_merge_close(w->merge);
    w->merge = NULL;
    return index_list_save(disk, st->index, &list, &w->error);
}

void stream_rebuild_go(struct streams *st)
{
    struct stream_work *w = &st->work;
    EL_ASSERT(w->job == STREAM_JOB_NONE);
    bool busy = st->ops > 0 || w->task == STREAM_TASK_WAIT || !el_list_empty(&st->starved) ||
                !el_list_empty(&st->catch_queue);
    if (busy && !st->failed) {
        streams_retry(st); /* it comes here again */
        return;
    }
    st->list_sequence++;
    stream_work_job(st, STREAM_JOB_EMPTY, stream_rebuild_empty);
}

/* What was under way behind appends leads nowhere. */
static void work_forget(struct streams *st)
{
    struct stream_work *w = &st->work;
    struct stream_save *s = &w->save;
    if (w->inputs != NULL) {
        stream_merge_end(st);
    }
    stream_runs_drop(st, s->set);
    if (s->run != NULL && s->set == NULL) {
        el_list_push_back(&w->closing, &s->run->link);
    }
    s->set = NULL;
    s->run = NULL;
    stream_table_destroy(st->view.frozen);
    stream_table_destroy(w->old);
    st->view.frozen = w->old = NULL;
    w->listing = false;
    w->task = STREAM_TASK_NONE;
    st->want_flush = false;
}

void stream_rebuild_emptied(struct streams *st)
{
    struct stream_run_set *none = stream_runs_make(st, NULL, 0);
    if (none == NULL) {
        st->work.damaged = true; /* again, when there is memory */
        streams_retry(st);
        return;
    }
    for (uint32_t i = 0; i < st->runs->count; i++) {
        st->runs->runs[i]->listed = false;
    }
    work_forget(st);
    stream_table_destroy(st->view.active); /* made when a partition is used */
    st->view.active = NULL;
    if (st->view.heads != NULL) {
        stream_heads_clear(st->view.heads);
    }
    stream_runs_replace(st, none);
    st->rebuilding = false;
    EL_LIST_EACH(n, &st->parts) {
        struct stream_part *sp = EL_CONTAINER(n, struct stream_part, link);
        EL_ASSERT(sp->catching == NULL);
        EL_ASSERT(!sp->resolve.busy);
        sp->noted = sp->frozen_end = sp->run_end = 0;
        sp->state = sp->state == STREAM_PART_BROKEN ? STREAM_PART_BROKEN : STREAM_PART_COLD;
        sp->anew = sp->part != NULL && sp->state == STREAM_PART_COLD && !st->stopping;
    }
    EL_LIST_EACH_SAFE(n, tmp, &st->parts) {
        struct stream_part *sp = EL_CONTAINER(n, struct stream_part, link);
        if (sp->anew && streams_tables_make(st) == 0) {
            stream_catch_want(sp);
        }
        sp->anew = sp->anew && sp->state == STREAM_PART_CATCHING;
    }
    stream_rebuild_look(st);
}

void stream_rebuild_give_up(struct streams *st)
{
    st->work.damaged = false;
    st->rebuilding = false;
    st->failed = true;
}

void stream_rebuild_look(struct streams *st)
{
    if (st->failed || st->rebuilding || !st->telling) {
        return;
    }
    EL_LIST_EACH(n, &st->parts) {
        if (EL_CONTAINER(n, struct stream_part, link)->anew) {
            return;
        }
    }
    st->telling = false;
    store_observer_failed(st->shard, NULL);
    el_log(EL_LOG_INFO, "stream",
           "the stream index of shard %u is made anew: topics with evlog.streams are taken again", st->index);
}
