/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeTopicPartitions: topics and their partitions in the order of names, page by page.
 *
 *   1. of the topics asked for, or of all but evlog's own, the first by name at or behind the cursor are chosen: a page
 *      holds at most as many topics as partitions, and one more tells where the next page begins
 *   2. these are sorted and written until the page is full
 *
 * A topic that does not exist counts as one partition, so that a page is bounded whatever is asked. Invariant: `chosen`
 * is a heap with the last name on top, until it is sorted.
 */
#include <api/api.h>
#include <wire/msg_describe_topic_partitions.h>

#define PARTITION_COUNT_MAX 2000 /* most partitions in one answer */

struct chosen {
    struct el_slice name;
    const struct topic *topic; /* NULL when there is none */
    int error;                 /* EVLOG_ERR_ without a topic, else 0 */
};

struct page {
    struct api *api;
    struct request *request;
    const struct el_msg_describe_topic_partitions_request *ask;
    struct chosen *chosen; /* [chosen_count] */
    uint32_t chosen_count;
    uint32_t chosen_max;
    uint32_t room; /* partitions that the page still takes */
    int32_t *self; /* this node, the replica of every partition */
};

/* --- the first topics by name ------------------------------------------------------------------------------------- */

static int name_order(struct el_slice a, struct el_slice b)
{
    size_t len = EL_MIN(a.len, b.len);
    int order = len == 0 ? 0 : memcmp(a.data, b.data, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static void swap(struct chosen *a, struct chosen *b)
{
    struct chosen kept = *a;
    *a = *b;
    *b = kept;
}

static void heap_down(struct chosen *heap, uint32_t count, uint32_t at)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count) {
            return;
        }
        if (child + 1 < count && name_order(heap[child].name, heap[child + 1].name) < 0) {
            child++;
        }
        if (name_order(heap[at].name, heap[child].name) >= 0) {
            return;
        }
        swap(&heap[at], &heap[child]);
        at = child;
    }
}

static void heap_up(struct chosen *heap, uint32_t at)
{
    while (at > 0 && name_order(heap[(at - 1) / 2].name, heap[at].name) < 0) {
        swap(&heap[(at - 1) / 2], &heap[at]);
        at = (at - 1) / 2;
    }
}

/* Take a topic unless it lies before the page or behind all that the page can hold. */
static void choose(struct page *page, struct el_slice name, const struct topic *topic, int error)
{
    if (page->ask->cursor != NULL && name_order(name, page->ask->cursor->topic_name) < 0) {
        return;
    }
    EL_ASSERT(page->chosen_count <= page->chosen_max);
    if (page->chosen_count < page->chosen_max) {
        page->chosen[page->chosen_count] = (struct chosen){name, topic, error};
        heap_up(page->chosen, page->chosen_count++);
    } else if (name_order(name, page->chosen[0].name) < 0) {
        page->chosen[0] = (struct chosen){name, topic, error};
        heap_down(page->chosen, page->chosen_count, 0);
    }
}

static void sort(struct page *page)
{
    for (uint32_t left = page->chosen_count; left > 1; left--) {
        swap(&page->chosen[0], &page->chosen[left - 1]);
        heap_down(page->chosen, left - 1, 0);
    }
}

static void choose_all(struct page *page)
{
    for (uint32_t i = 0; i < store_topic_count(page->api->shard); i++) {
        const struct topic *topic = api_topic_shown(page->api, page->request, i);
        if (topic != NULL && !topic->internal) {
            choose(page, el_slice_of(topic->name, topic->name_len), topic, 0);
        }
    }
}

/* A name that is asked for twice is answered once. returns 0 | EVLOG_ERR_NO_MEMORY */
static int choose_asked(struct page *page)
{
    struct el_map seen;
    el_map_init(&seen, page->api->buddy);
    int error = 0;
    for (uint32_t i = 0; i < page->ask->topic_count && error == 0; i++) {
        struct el_slice name = page->ask->topics[i].name;
        error = el_map_put(&seen, name.len == 0 ? (const void *)"" : name.data, name.len, page);
        if (error == 0) {
            int found;
            const struct topic *topic = api_topic(page->api, page->request, name, NULL, &found);
            choose(page, name, topic, found);
        } else if (error == EVLOG_ERR_EXISTS) {
            error = 0;
        }
    }
    el_map_destroy(&seen);
    return error;
}

/* --- the answer --------------------------------------------------------------------------------------------------- */

/* Partitions from `first` on, as many as there is room for. */
static int fill_partitions(struct page *page, const struct topic *topic, int32_t first,
                           struct el_msg_describe_topic_partitions_topic *out)
{
    uint32_t count = first >= topic->partition_count ? 0 : (uint32_t)(topic->partition_count - first);
    count = EL_MIN(count, page->room);
    out->partitions = el_schema_new(&el_schema_describe_topic_partitions_partition, &page->request->arena, count);
    if (out->partitions == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    out->partition_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct el_msg_describe_topic_partitions_partition *partition = &out->partitions[i];
        partition->partition_index = first + (int32_t)i;
        partition->leader_id = page->api->node->id;
        partition->leader_epoch = store_leader_epoch(store_shard_store(page->api->shard));
        partition->replica_nodes = partition->isr_nodes = page->self;
        partition->replica_node_count = partition->isr_node_count = 1;
        partition->eligible_leader_replicas = partition->last_known_elr = EL_EMPTY;
    }
    return 0;
}

static int fill_topic(struct page *page, const struct chosen *chosen, int32_t first,
                      struct el_msg_describe_topic_partitions_topic *out)
{
    out->name = chosen->name;
    if (chosen->topic == NULL) {
        bool valid = chosen->error == EVLOG_ERR_TOPIC_DENIED || api_name_valid(chosen->name);
        int error = valid ? chosen->error : EVLOG_ERR_INVALID_TOPIC;
        out->error_code = api_error(error, false);
        api_count_refusal(page->api, error);
        return 0;
    }
    out->topic_id = chosen->topic->id;
    out->is_internal = chosen->topic->internal;
    out->topic_authorized_operations = api_operations(page->api, page->request, EL_ACL_RESOURCE_TOPIC, chosen->name);
    return fill_partitions(page, chosen->topic, first, out);
}

static void set_cursor(struct el_msg_describe_topic_partitions_response *response,
                       struct el_msg_describe_topic_partitions_cursor *cursor, struct el_slice name, int32_t partition)
{
    cursor->topic_name = name;
    cursor->partition_index = partition;
    response->next_cursor = cursor;
}

/* returns 0 | EVLOG_ERR_NO_MEMORY */
static int fill(struct page *page, struct el_msg_describe_topic_partitions_response *response,
                struct el_msg_describe_topic_partitions_cursor *next)
{
    const struct el_msg_describe_topic_partitions_cursor *cursor = page->ask->cursor;
    page->self = el_arena_alloc(&page->request->arena, sizeof *page->self);
    response->topics = el_schema_new(&el_schema_describe_topic_partitions_topic, &page->request->arena,
                                     page->chosen_count);
    if (page->self == NULL || response->topics == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    *page->self = page->api->node->id;
    for (uint32_t i = 0; i < page->chosen_count; i++) {
        const struct chosen *chosen = &page->chosen[i];
        if (page->room == 0) {
            set_cursor(response, next, chosen->name, 0);
            return 0;
        }
        bool resumed = cursor != NULL && el_slice_eq(chosen->name, cursor->topic_name);
        int32_t first = resumed ? cursor->partition_index : 0;
        struct el_msg_describe_topic_partitions_topic *out = &response->topics[response->topic_count];
        if (fill_topic(page, chosen, first, out) != 0) {
            return EVLOG_ERR_NO_MEMORY;
        }
        response->topic_count++;
        EL_ASSERT(out->partition_count <= page->room);
        page->room -= EL_MAX(out->partition_count, 1u);
        if (chosen->topic != NULL && out->partition_count > 0 &&
            first + (int32_t)out->partition_count < chosen->topic->partition_count) {
            set_cursor(response, next, chosen->name, first + (int32_t)out->partition_count);
            return 0;
        }
    }
    return 0;
}

/* --- the question ------------------------------------------------------------------------------------------------- */

/* The layout has no error of its own: that of the topic at the cursor. */
static void refuse_cursor(struct api *api, struct request *request, struct el_slice name)
{
    struct el_msg_describe_topic_partitions_response response;
    struct el_msg_describe_topic_partitions_topic topic;
    el_schema_init(&el_schema_describe_topic_partitions_response, &response);
    el_schema_init(&el_schema_describe_topic_partitions_topic, &topic);
    topic.name = name;
    topic.error_code = EL_KAFKA_INVALID_REQUEST;
    response.topics = &topic;
    response.topic_count = 1;
    api_count_refusal(api, EVLOG_ERR_INVALID_REQUEST);
    request_reply(request, &el_schema_describe_topic_partitions_response, &response);
}

void api_describe_topic_partitions(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_describe_topic_partitions_request *ask = message;
    struct el_msg_describe_topic_partitions_response response;
    struct el_msg_describe_topic_partitions_cursor next;
    if (ask->cursor != NULL && ask->cursor->partition_index < 0) {
        refuse_cursor(api, request, ask->cursor->topic_name);
        return;
    }
    el_schema_init(&el_schema_describe_topic_partitions_response, &response);
    el_schema_init(&el_schema_describe_topic_partitions_cursor, &next);
    int32_t limit = EL_MAX(EL_MIN(ask->response_partition_limit, PARTITION_COUNT_MAX), 1);
    struct page page = {.api = api, .request = request, .ask = ask, .room = (uint32_t)limit};
    uint32_t candidate_count = ask->topic_count > 0 ? ask->topic_count : store_topic_count(api->shard);
    page.chosen_max = EL_MIN(candidate_count, page.room + 1);
    page.chosen = api_alloc(api, request, page.chosen_max, sizeof *page.chosen);
    if (page.chosen == NULL) {
        return;
    }
    int error = 0;
    if (ask->topic_count > 0) {
        error = choose_asked(&page);
    } else {
        choose_all(&page);
    }
    sort(&page);
    if (error != 0 || fill(&page, &response, &next) != 0) {
        metrics_add(api->metrics, METRIC_REFUSED_MEMORY, 1);
        request_close(request, "no memory left for the answer: raise memory.max");
        return;
    }
    request_reply(request, &el_schema_describe_topic_partitions_response, &response);
}
