/* SPDX-License-Identifier: Apache-2.0
 *
 * What members subscribe to, and who works on which partition. In a work group that is a matter of load only, for any
 * number of members may read the same partition: every partition goes to somebody, evenly, and where there are more
 * members than partitions, the others share. Little moves when somebody comes or goes.
 *
 *   1. a member keeps of what it has as much as its even share of its topics' partitions
 *   2. what nobody has goes, one by one, to the subscriber with the least
 *   3. a member with nothing gets the partition of its topics that the fewest have
 *
 * All of it is worked out beside what is in force, and taken over when all memory is there; without memory the old
 * division stays, and is tried again with the next sign of life.
 */
#include <lease/control.h>

#define NOBODY UINT32_MAX
#define SHARE_UNIT 1000000u

/* --- subscriptions ------------------------------------------------------------------------------------------------ */

/* A topic as it is; an internal one is none: evlog writes it, maybe while the group works. */
static bool topic_look(struct leases *ls, struct control_topic *topic)
{
    const struct topic *found = topic->name.len == 0 ? NULL : store_topic_by_name(ls->shard, topic->name);
    bool there = found != NULL && !found->internal;
    struct el_uuid id = there ? found->id : (struct el_uuid){0};
    int32_t count = there ? found->partition_count : 0;
    bool changed = !el_uuid_eq(&id, &topic->id) || count != topic->partition_count;
    topic->id = id;
    topic->partition_count = count;
    return changed;
}

static struct control_topic *topic_get(struct control_group *group, struct el_slice name)
{
    struct leases *ls = group->ls;
    uint8_t key[sizeof group->number + EL_TOPIC_NAME_MAX];
    size_t key_len = sizeof group->number + name.len;
    EL_ASSERT(name.len <= EL_TOPIC_NAME_MAX);
    memcpy(key, &group->number, sizeof group->number);
    if (name.len > 0) {
        memcpy(key + sizeof group->number, name.data, name.len);
    }
    struct control_topic *topic = el_map_get(&ls->control->topics, key, key_len);
    if (topic != NULL) {
        return topic;
    }
    topic = lease_alloc(ls, sizeof *topic);
    if (topic == NULL || !lease_copy(ls, el_slice_of(key, key_len), &topic->key)) {
        lease_free(ls, topic);
        return NULL;
    }
    topic->name = el_slice_of(topic->key.data + sizeof group->number, name.len);
    if (el_map_put(&ls->control->topics, topic->key.data, topic->key.len, topic) != 0) {
        lease_drop(ls, &topic->key);
        lease_free(ls, topic);
        return NULL;
    }
    el_list_push_back(&group->topics, &topic->link);
    topic_look(ls, topic);
    return topic;
}

static void topic_drop_unused(struct control_group *group, struct control_topic *topic)
{
    struct leases *ls = group->ls;
    if (topic->user_count > 0) {
        return;
    }
    el_map_remove(&ls->control->topics, topic->key.data, topic->key.len);
    el_list_remove(&topic->link);
    lease_drop(ls, &topic->key);
    lease_free(ls, topic);
}

static uint64_t mark_all(struct control_member *member)
{
    uint64_t mark = ++member->group->ls->control->mark;
    for (uint32_t i = 0; i < member->topic_count; i++) {
        member->topics[i]->mark = mark;
    }
    return mark;
}

/* Give a subscription up that is not the member's, or not any more. */
static void topics_release(struct control_group *group, struct control_topic **topics, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        EL_ASSERT(topics[i]->user_count > 0);
        topics[i]->user_count--;
        topic_drop_unused(group, topics[i]);
    }
    lease_free(group->ls, topics);
}

/* Places of topics that the member does not subscribe to any more. */
static void places_forget(struct control_member *member)
{
    uint64_t mark = mark_all(member);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < member->place_count; i++) {
        if (member->places[i].topic->mark == mark) {
            member->places[kept++] = member->places[i];
        }
    }
    member->place_count = kept;
}

static void subscription_take(struct control_member *member, struct control_topic **topics, uint32_t count)
{
    struct control_topic **old = member->topics;
    uint32_t old_count = member->topic_count;
    member->topics = topics;
    member->topic_count = count;
    places_forget(member);
    topics_release(member->group, old, old_count);
}

int control_subscribe(struct control_member *member, const struct el_slice *names, uint32_t count, bool *changed)
{
    struct control_group *group = member->group;
    struct leases *ls = group->ls;
    uint64_t old_mark = mark_all(member), mark = ++ls->control->mark;
    uint32_t taken = 0, kept = 0;
    EL_ASSERT(count <= CONTROL_TOPICS_MAX);
    struct control_topic **topics = lease_alloc(ls, EL_MAX(count, 1u) * sizeof(struct control_topic *));
    if (topics == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct control_topic *topic = names[i].len > EL_TOPIC_NAME_MAX ? NULL : topic_get(group, names[i]);
        if (topic == NULL && names[i].len <= EL_TOPIC_NAME_MAX) {
            topics_release(group, topics, taken);
            return EVLOG_ERR_NO_MEMORY;
        }
        if (topic == NULL || topic->mark == mark) {
            continue; /* there can be no such topic, or it was named before */
        }
        kept += topic->mark == old_mark ? 1 : 0;
        topic->mark = mark;
        topic->user_count++;
        topics[taken++] = topic;
    }
    *changed = taken != member->topic_count || kept != taken;
    subscription_take(member, topics, taken);
    return 0;
}

void control_unsubscribe(struct control_member *member)
{
    subscription_take(member, NULL, 0);
}

bool control_topics_look(struct control_group *group)
{
    bool changed = false;
    EL_LIST_EACH(node, &group->topics) {
        changed = topic_look(group->ls, EL_CONTAINER(node, struct control_topic, link)) || changed;
    }
    return changed;
}

/* --- the division ------------------------------------------------------------------------------------------------- */

/* Partitions of all topics are numbered: topic->first and their index. */
struct division {
    struct control_group *group;
    struct control_member **members; /* [member_count] in order of their coming */
    uint32_t member_count;
    uint32_t *users;  /* [user_count] members by topic: from topic->users on */
    uint32_t *holder; /* [count] the first member that has it, or NOBODY */
    uint32_t *shares; /* [count] members that have it */
    uint32_t *extra;  /* [member_count] the partition that a member without any shares, or NOBODY */
    uint32_t *heap;   /* [member_count] members by load */
    uint32_t count, user_count;
};

static struct control_topic *topic_of(struct el_list *node)
{
    return EL_CONTAINER(node, struct control_topic, link);
}

/* Number partitions and subscribers, and find room. returns false without memory */
static bool division_begin(struct division *d, struct control_group *group)
{
    uint64_t count = 0, user_count = 0;
    *d = (struct division){.group = group, .member_count = group->member_count};
    EL_LIST_EACH(node, &group->topics) {
        struct control_topic *topic = topic_of(node);
        topic->first = (uint32_t)count;
        topic->users = (uint32_t)user_count;
        count += (uint64_t)topic->partition_count;
        user_count += topic->user_count;
    }
    size_t words = 2 * count + user_count + 2 * (size_t)d->member_count;
    if (count >= NOBODY || user_count >= NOBODY) {
        return false;
    }
    uint8_t *block = el_buddy_alloc(group->ls->buddy, d->member_count * sizeof *d->members + words * sizeof(uint32_t));
    if (block == NULL) {
        return false;
    }
    d->count = (uint32_t)count;
    d->user_count = (uint32_t)user_count;
    d->members = (struct control_member **)(void *)block;
    d->holder = (uint32_t *)(void *)(d->members + d->member_count);
    d->shares = d->holder + d->count;
    d->users = d->shares + d->count;
    d->extra = d->users + d->user_count;
    d->heap = d->extra + d->member_count;
    return true;
}

static void division_fill(struct division *d)
{
    uint32_t index = 0;
    for (uint32_t i = 0; i < d->count; i++) {
        d->holder[i] = NOBODY;
        d->shares[i] = 0;
    }
    EL_LIST_EACH(node, &d->group->members) {
        struct control_member *member = EL_CONTAINER(node, struct control_member, link);
        d->members[index] = member;
        d->extra[index] = NOBODY;
        member->load = member->fresh_count = 0;
        member->fresh = NULL;
        for (uint32_t i = 0; i < member->topic_count; i++) {
            d->users[member->topics[i]->users++] = index; /* moves on; goes back below */
        }
        index++;
    }
    EL_ASSERT(index == d->member_count);
    EL_LIST_EACH(node, &d->group->topics) {
        topic_of(node)->users -= topic_of(node)->user_count;
    }
}

static void hold(struct division *d, uint32_t number, uint32_t member)
{
    d->holder[number] = member;
    d->shares[number]++;
    d->members[member]->load++;
}

/* An even share of each of a member's topics, all together rounded down. */
static uint32_t even_share(const struct control_member *member)
{
    uint64_t millionths = member->topic_count; /* lost by rounding */
    for (uint32_t i = 0; i < member->topic_count; i++) {
        const struct control_topic *topic = member->topics[i];
        millionths += (uint64_t)topic->partition_count * SHARE_UNIT / topic->user_count;
    }
    return (uint32_t)(millionths / SHARE_UNIT);
}

/* Only so many members keep one more than their share as there are partitions left over: else there would be nothing
 * for the last ones. */
static void keep(struct division *d)
{
    uint64_t shares = 0;
    for (uint32_t m = 0; m < d->member_count; m++) {
        shares += even_share(d->members[m]);
    }
    uint64_t left_over = d->count > shares ? d->count - shares : 0;
    for (uint32_t m = 0; m < d->member_count; m++) {
        struct control_member *member = d->members[m];
        uint32_t share = even_share(member);
        for (uint32_t i = 0; i < member->place_count; i++) {
            const struct control_place *place = &member->places[i];
            uint32_t number = place->topic->first + (uint32_t)place->partition;
            if (place->partition >= place->topic->partition_count || d->holder[number] != NOBODY) {
                continue;
            }
            if (member->load == share) {
                if (left_over == 0) {
                    break;
                }
                left_over--;
            } else if (member->load > share) {
                break;
            }
            hold(d, number, m);
        }
    }
}

static bool less(const struct division *d, uint32_t a, uint32_t b)
{
    uint32_t load_a = d->members[a]->load, load_b = d->members[b]->load;
    return load_a != load_b ? load_a < load_b : a < b;
}

static void sift_down(struct division *d, uint32_t count, uint32_t at)
{
    uint32_t moving = d->heap[at];
    for (uint32_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && less(d, d->heap[child + 1], d->heap[child])) {
            child++;
        }
        if (!less(d, d->heap[child], moving)) {
            break;
        }
        d->heap[at] = d->heap[child];
        at = child;
    }
    d->heap[at] = moving;
}

/* What nobody has of a topic goes to the subscriber with the least, again and again. */
static void spread_topic(struct division *d, const struct control_topic *topic)
{
    uint32_t count = topic->user_count;
    memcpy(d->heap, d->users + topic->users, count * sizeof *d->heap);
    for (uint32_t i = count / 2; i > 0; i--) {
        sift_down(d, count, i - 1);
    }
    for (int32_t p = 0; p < topic->partition_count; p++) {
        uint32_t number = topic->first + (uint32_t)p;
        if (d->holder[number] == NOBODY) {
            hold(d, number, d->heap[0]);
            sift_down(d, count, 0);
        }
    }
}

/* A member with nothing shares what the fewest have; what it had before, when that is as good. */
static void share(struct division *d, uint32_t m)
{
    const struct control_member *member = d->members[m];
    uint32_t best = NOBODY;
    for (uint32_t i = 0; i < member->topic_count; i++) {
        const struct control_topic *topic = member->topics[i];
        for (int32_t p = 0; p < topic->partition_count; p++) {
            uint32_t number = topic->first + (uint32_t)p;
            best = best == NOBODY || d->shares[number] < d->shares[best] ? number : best;
        }
    }
    for (uint32_t i = 0; i < member->place_count && best != NOBODY; i++) {
        const struct control_place *place = &member->places[i];
        uint32_t number = place->topic->first + (uint32_t)place->partition;
        if (place->partition < place->topic->partition_count && d->shares[number] == d->shares[best]) {
            best = number;
            break;
        }
    }
    d->extra[m] = best;
    if (best != NOBODY) {
        d->shares[best]++;
    }
}

/* --- taking it over ----------------------------------------------------------------------------------------------- */

static void place_add(struct control_member *member, struct control_topic *topic, uint32_t number)
{
    EL_ASSERT(member->fresh_count < EL_MAX(member->load, 1u));
    member->fresh[member->fresh_count++] = (struct control_place){.topic = topic,
                                                                  .partition = (int32_t)(number - topic->first)};
}

static bool fresh_alloc(struct division *d)
{
    for (uint32_t m = 0; m < d->member_count; m++) {
        struct control_member *member = d->members[m];
        member->fresh = lease_alloc(d->group->ls, EL_MAX(member->load, 1u) * sizeof *member->fresh);
        if (member->fresh == NULL) {
            while (m > 0) {
                lease_free(d->group->ls, d->members[--m]->fresh);
            }
            return false;
        }
    }
    return true;
}

static void take_over(struct division *d)
{
    EL_LIST_EACH(node, &d->group->topics) {
        struct control_topic *topic = topic_of(node);
        for (int32_t p = 0; p < topic->partition_count; p++) {
            uint32_t number = topic->first + (uint32_t)p;
            EL_ASSERT(d->holder[number] != NOBODY);
            place_add(d->members[d->holder[number]], topic, number);
        }
        for (uint32_t i = 0; i < topic->user_count; i++) {
            uint32_t m = d->users[topic->users + i];
            uint32_t extra = d->extra[m];
            if (extra != NOBODY && extra >= topic->first && extra - topic->first < (uint32_t)topic->partition_count) {
                place_add(d->members[m], topic, extra);
            }
        }
    }
    for (uint32_t m = 0; m < d->member_count; m++) {
        struct control_member *member = d->members[m];
        lease_free(d->group->ls, member->places);
        member->places = member->fresh;
        member->place_count = member->fresh_count;
        member->fresh = NULL;
    }
}

static void epoch_raise(struct control_group *group)
{
    group->stale = false;
    group->epoch = group->epoch == INT32_MAX ? 1 : group->epoch + 1;
}

int control_assign(struct control_group *group)
{
    struct division d;
    if (group->member_count == 0) {
        epoch_raise(group);
        return 0;
    }
    group->stale = true;
    if (!division_begin(&d, group)) {
        return EVLOG_ERR_NO_MEMORY;
    }
    division_fill(&d);
    keep(&d);
    EL_LIST_EACH(node, &group->topics) {
        spread_topic(&d, topic_of(node));
    }
    for (uint32_t m = 0; m < d.member_count; m++) {
        if (d.members[m]->load == 0) {
            share(&d, m);
        }
    }
    bool taken = fresh_alloc(&d);
    if (taken) {
        take_over(&d);
        epoch_raise(group);
    }
    el_buddy_free(group->ls->buddy, d.members);
    return taken ? 0 : EVLOG_ERR_NO_MEMORY;
}
