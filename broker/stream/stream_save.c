/* SPDX-License-Identifier: Apache-2.0
 *
 * Saves the list of runs, with a new run opened first when there is one. Only one save is under way, and after an error
 * that may pass the same one is tried again: either list may be on the disk then.
 */
#include <stream/stream_state.h>

void stream_save_free(struct streams *st)
{
    struct stream_save *s = &st->work.save;
    el_buddy_free(st->buddy, s->list.slots);
    el_buddy_free(st->buddy, s->list.run_ids);
    s->list = (struct index_list){0};
}

static bool list_fill(struct streams *st, struct index_list *list, const struct stream_run_set *set, bool frozen)
{
    uint32_t count = 0;
    EL_ASSERT(list->slots == NULL); /* those of the last one were given back */
    EL_ASSERT(list->run_ids == NULL);
    EL_LIST_EACH(n, &st->parts) {
        count++;
    }
    *list = (struct index_list){.sequence = ++st->list_sequence,
                                .next_run_id = st->next_run_id,
                                .next_slot = st->next_slot,
                                .run_count = set->count};
    memcpy(list->secret_tag, st->tag, sizeof list->secret_tag);
    list->slots = el_buddy_alloc(st->buddy, (count + 1) * sizeof *list->slots);
    list->run_ids = el_buddy_alloc(st->buddy, (set->count + 1) * sizeof *list->run_ids);
    if (list->slots == NULL || list->run_ids == NULL) {
        return false;
    }
    EL_LIST_EACH(n, &st->parts) {
        const struct stream_part *sp = EL_CONTAINER(n, struct stream_part, link);
        int64_t end = frozen ? sp->frozen_end : sp->run_end;
        if (sp->part != NULL && end > 0) {
            EL_ASSERT(sp->slot < list->next_slot);
            EL_ASSERT(list->slot_count < count);
            list->slots[list->slot_count++] = (struct index_slot){
                .slot = sp->slot, .topic_id = sp->topic_id, .partition = sp->partition, .end_offset = end};
        }
    }
    for (uint32_t i = 0; i < set->count; i++) {
        EL_ASSERT(set->runs[i]->id < list->next_run_id);
        list->run_ids[i] = set->runs[i]->id;
    }
    return true;
}

static int64_t save_run(struct disk *disk, void *arg)
{
    struct streams *st = arg;
    struct stream_save *s = &st->work.save;
    char path[INDEX_PATH_LEN];
    if (s->run != NULL && !s->opened) {
        index_run_path(path, st->index, s->run->id);
        int code = index_run_open(disk, path, &s->info, s->run->memory, s->with_filter, &s->run->run, &st->work.error);
        if (code != 0) {
            return code;
        }
        s->opened = true;
    }
    return index_list_save(disk, st->index, &s->list, &st->work.error);
}

int stream_save_go(struct streams *st, const struct el_index_run_info *info, uint32_t first, uint32_t replaced)
{
    struct stream_save *s = &st->work.save;
    struct stream_run_set *now = st->runs;
    bool has_run = info->entry_count > 0 || info->name_count > 0;
    EL_ASSERT(first + replaced <= now->count);
    if (has_run && s->run == NULL) {
        s->run = stream_run_new(st, info, &s->with_filter);
        s->info = *info;
        s->opened = false;
        if (s->run == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
    }
    if (s->set == NULL) {
        uint32_t count = 0;
        struct stream_run **runs = el_buddy_alloc(st->buddy, (now->count + 1) * sizeof *runs);
        for (uint32_t i = 0; runs != NULL && i <= now->count; i++) {
            if (i == first && has_run) {
                runs[count++] = s->run;
            }
            if (i < now->count && (i < first || i >= first + replaced)) {
                runs[count++] = now->runs[i];
            }
        }
        EL_ASSERT(runs == NULL || count == now->count - replaced + has_run);
        s->set = runs == NULL ? NULL : stream_runs_make(st, runs, count);
        el_buddy_free(st->buddy, runs);
    }
    if (s->set == NULL || !list_fill(st, &s->list, s->set, replaced == 0)) {
        stream_save_free(st);
        return EVLOG_ERR_NO_MEMORY;
    }
    stream_work_job(st, STREAM_JOB_SAVE, save_run);
    return 0;
}
