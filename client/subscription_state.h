/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a subscription. Everything belongs to the thread that reads.
 *
 * Of its feeds, stored_epoch is the leader epoch of the last event given out, and stored_offset is where a feed has
 * begun that reads from the beginning, -1 elsewhere: if the log begins later meanwhile, nothing is missing.
 */
#ifndef EL_CLIENT_SUBSCRIPTION_STATE_H
#define EL_CLIENT_SUBSCRIPTION_STATE_H

#include "consumer_state.h"
#include "trace.h"

#include <evlog/admin.h>
#include <evlog/subscription.h>
#include <wire/progress.h>

struct evlog_subscription {
    uint32_t magic;
    struct evlog_client *client;
    struct evlog_consumer consumer;
    struct el_consumer_filter filter;
    struct el_arena arena; /* of the filter: texts and pattern */
    bool whole;            /* all partitions are read, also new ones */
    enum evlog_subscription_on_missing on_missing;
    int64_t behind_max, progress_ns;
    bool caught_up;
    uint64_t answers_seen; /* of the consumer, when it was looked at for falling behind */
    int64_t told_ns;       /* when the last item was given out */
    int64_t told_sum;      /* of all positions then */
    int64_t grow_at_ns;
    struct el_buffer word; /* the position */
    /* the item given out last */
    struct evlog_subscription_item item;
    struct evlog_stream_event event;
    struct evlog_event_view view;
    bool has_view;
    struct el_span *handling; /* of an event, until the next call; NULL: not traced */
};

/* Place the feeds: where the options say, checked against the log. returns 0 | as evlog_subscription_open() */
int el_subscription_place(struct evlog_subscription *subscription, const struct evlog_subscription_options *options,
                          struct evlog_failure *failure);
/* Read partitions that the topic has got meanwhile, from their first event on. */
int el_subscription_grow(struct evlog_subscription *subscription, struct evlog_failure *failure);

#endif
