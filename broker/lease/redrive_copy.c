/* SPDX-License-Identifier: Apache-2.0
 *
 * Letters that are appended to a topic: each once, in their order within a partition of the target.
 *
 *   1. a look takes copies of the letters that are selected (redrive_scan.c)
 *   2. the task's record says which letters these are, how they are divided, and under which epoch of its producer id
 *      they are appended; durable
 *   3. for each partition of the target a worker makes one batch, and that is appended with the number 0
 *   4. the letters are marked, and the record says that the piece is done (redrive_run.c)
 *
 * After a crash the same letters are looked at again, and become the same batches. A partition that has got its batch
 * knows it by epoch and number. Letters that were deleted in between make a batch smaller, and it is refused: the one
 * that has number 0 of this epoch is there.
 */
#include <lease/redrive.h>

#include <config/group_config.h>
#include <stdio.h>

/* --- the target --------------------------------------------------------------------------------------------------- */

/* Is it where dead letters of the group go? */
static bool takes_letters(struct leases *ls, struct el_slice group_id, struct el_slice name)
{
    const struct control_group *group = control_find(ls, group_id);
    char dead[EL_TOPIC_NAME_MAX + 1];
    for (uint32_t i = 0; group != NULL && i < store_topic_count(ls->shard); i++) {
        const struct topic *topic = store_topic_at(ls->shard, i);
        if (topic->internal) {
            continue;
        }
        group_config_dead_topic(group->config, el_slice_of(topic->name, topic->name_len), group_id, dead);
        if (el_slice_eq(el_slice_str(dead), name)) {
            return true;
        }
    }
    return false;
}

const char *redrive_copy_check(struct leases *ls, const struct lease_redrive_op *op, const struct topic *letters,
                               char *text, size_t text_len)
{
    const struct topic *topic = store_topic_by_name(ls->shard, op->target);
    int len = (int)EL_MIN(op->target.len, (size_t)EL_TOPIC_NAME_MAX);
    const char *name = (const char *)op->target.data;
    if (topic == NULL) {
        snprintf(text, text_len, "there is no topic %.*s to copy to: create it first", len, name);
    } else if (topic->internal) {
        snprintf(text, text_len, "%.*s is a topic of evlog itself", len, name);
    } else if (topic_config_streams(&topic->config)) {
        snprintf(text, text_len, "%.*s has streams, and a copy would be an event of one: copy to a topic without", len,
                 name);
    } else if (topic == letters) {
        snprintf(text, text_len, "%.*s is the topic of these letters: they are there", len, name);
    } else if (takes_letters(ls, op->base.group_id, op->target)) {
        snprintf(text, text_len, "%.*s takes dead letters of the same group: copy to another topic", len, name);
    } else {
        return NULL;
    }
    return text;
}

static struct redrive_target target_now(struct leases *ls, const struct topic *topic)
{
    const struct topic_config *config = &topic->config, *defaults = ls->cfg.topic_defaults;
    int64_t len_max = topic_config_int(config, defaults, TOPIC_MAX_MESSAGE_BYTES);
    return (struct redrive_target){
        .partition_count = topic->partition_count,
        .len_max = (uint32_t)EL_MIN(len_max, (int64_t)EL_BATCH_LEN_MAX),
        .keyed = topic_config_int(config, defaults, TOPIC_CLEANUP_POLICY) != TOPIC_CLEANUP_DELETE,
    };
}

int redrive_copy_open(struct redrive *task, struct redrive_scan *scan)
{
    struct leases *ls = task->ls;
    struct redrive_copies *copies = &scan->copies;
    const struct topic *topic = store_topic_by_id(ls->shard, &task->copy.topic_id);
    if (topic == NULL) {
        return EVLOG_ERR_UNKNOWN_TOPIC;
    }
    EL_ASSERT(copies->buf == NULL);
    EL_ASSERT(task->copy.room > 0);
    copies->buf = el_buddy_alloc(ls->buddy, 2 * task->copy.room);
    if (copies->buf == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    copies->room = task->copy.room;
    copies->target = target_now(ls, topic);
    if (task->copy.next >= 0) {
        copies->target = task->copy.target;
        scan->letter_max = LEASE_LETTERS_MAX;
    }
    el_batch_builder_init_fixed(&copies->all, copies->buf, copies->room);
    return 0;
}

bool redrive_copy_looked(struct redrive *task)
{
    const struct redrive_scan *scan = task->scan;
    const struct redrive_copies *copies = &scan->copies;
    bool begun = task->copy.next >= 0;
    if (copies->room == 0) {
        return true;
    }
    if (copies->wanted > 0 && (begun || scan->letter_count == 0)) {
        task->copy.room = copies->wanted;
        return false;
    }
    if (begun && scan->next == scan->from && scan->next < task->copy.next) {
        redrive_end(task, LEASE_REDRIVE_FAILED, "the letters are not those that its record tells of");
    }
    return true;
}

/* --- appending ---------------------------------------------------------------------------------------------------- */

static void draw_on_done(struct store_op *base)
{
    struct redrive *task = base->arg;
    if (!redrive_step_end(task, REDRIVE_DRAWING)) {
        return;
    }
    if (base->error != 0) {
        redrive_again(task, "no producer id can be drawn", base->error);
        return;
    }
    EL_ASSERT(task->draw.producer_id >= 0);
    EL_ASSERT(task->copy.next < 0); /* no piece is begun under the old one */
    task->copy.producer_id = task->draw.producer_id;
    task->copy.epoch = -1;
    redrive_go(task);
}

/* The piece is begun, once that is stored. */
static void intend(struct redrive *task)
{
    struct redrive_copy *copy = &task->copy;
    if (copy->producer_id < 0 || copy->epoch == INT16_MAX) {
        task->draw = (struct producer_id_op){.base = {.done = draw_on_done, .arg = task}};
        redrive_step_begin(task, REDRIVE_DRAWING);
        store_producer_id(task->ls->shard, &task->draw);
        return;
    }
    copy->epoch++;
    copy->next = task->scan->next;
    copy->target = task->scan->copies.target;
    EL_ASSERT(copy->next > task->offset);
    task->dirty = true;
    redrive_go(task);
}

static void batch_end(struct redrive *task)
{
    struct redrive_scan *scan = task->scan;
    EL_ASSERT(task->copy.next >= 0);
    EL_ASSERT(scan->copies.partition >= 0);
    for (uint32_t i = 0; i < scan->letter_count; i++) {
        if (scan->letters[i].to == scan->copies.partition) {
            scan->letters[i].done = true;
            scan->results[i] = LEASE_AGAIN_BACK;
        }
    }
}

static void append_on_done(struct store_op *base)
{
    struct redrive *task = base->arg;
    if (!redrive_step_end(task, REDRIVE_APPENDING)) {
        return;
    }
    switch (base->error) {
    case 0:
    case EVLOG_ERR_SEQUENCE: /* it has got the batch before */
        batch_end(task);
        redrive_went_well(task);
        redrive_go(task);
        break;
    case EVLOG_ERR_UNKNOWN_TOPIC:
    case EVLOG_ERR_UNKNOWN_TOPIC_ID:
        redrive_end(task, LEASE_REDRIVE_FAILED, "the topic that letters are copied to was deleted");
        break;
    default:
        redrive_again(task, "copies cannot be appended", base->error);
        break;
    }
}

static int64_t batch_job(struct disk *disk, void *arg)
{
    (void)disk;
    return redrive_scan_batch(arg);
}

static void batch_on_done(struct io_op *op)
{
    struct redrive *task = op->arg;
    if (!redrive_step_end(task, REDRIVE_BATCHING)) {
        return;
    }
    if (op->result != 0) {
        redrive_again(task, "copies cannot be made", (int)op->result);
        return;
    }
    const struct redrive_copies *copies = &task->scan->copies;
    task->append = (struct append_op){
        .base = {.done = append_on_done, .arg = task},
        .topic_id = task->copy.topic_id,
        .partition = copies->partition,
        .batch = copies->batch.data,
        .batch_len = (uint32_t)copies->batch.len,
        .info = copies->info,
    };
    redrive_step_begin(task, REDRIVE_APPENDING);
    store_append(task->ls->shard, &task->append);
}

void redrive_copy_go(struct redrive *task)
{
    struct redrive_scan *scan = task->scan;
    if (store_topic_by_id(task->ls->shard, &task->topic_id) == NULL) { /* those of the next one may be copied by now */
        redrive_end(task, LEASE_REDRIVE_FAILED, "the topic of dead letters was deleted");
        return;
    }
    for (; task->letter_next < scan->letter_count; task->letter_next++) {
        struct redrive_letter *letter = &scan->letters[task->letter_next];
        if (letter->to < 0 && !letter->done) {
            letter->done = true;
            scan->results[task->letter_next] = LEASE_AGAIN_PASSED;
        }
        if (!letter->done) {
            break;
        }
    }
    if (task->letter_next == scan->letter_count) {
        redrive_go(task);
        return;
    }
    if (task->copy.next < 0) {
        intend(task);
        return;
    }
    EL_ASSERT(task->copy.epoch >= 0);
    EL_ASSERT(scan->letters[task->letter_next].to < task->copy.target.partition_count);
    scan->copies.partition = scan->letters[task->letter_next].to;
    scan->copies.origin = (struct el_batch_origin){
        .producer_id = task->copy.producer_id, .base_sequence = 0, .producer_epoch = task->copy.epoch};
    task->job.done = batch_on_done;
    task->job.arg = task;
    redrive_step_begin(task, REDRIVE_BATCHING);
    io_job(task->ls->io, &task->job, IO_JOB_COMPUTE, batch_job, scan);
}
