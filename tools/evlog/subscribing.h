/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a subscription until there is a reason to stop: for subscribe and read --follow.
 */
#ifndef EVLOG_TOOLS_SUBSCRIBING_H
#define EVLOG_TOOLS_SUBSCRIBING_H

#include "cli.h"

struct subscribing {
    struct cli *cli;
    struct evlog_subscription *subscription;
    bool until_caught_up;
    int64_t count_max; /* events, -1: no end */
    int64_t count;     /* so far */
    /* An item to be shown. *counts is false at first. returns CLI_OK | exit code, told */
    int (*show)(void *arg, const struct evlog_subscription_item *item, bool *counts);
    void *arg;
};

/* Tell why a subscription cannot be opened or goes on no more. returns its exit code */
int subscribing_failed(const struct cli *cli, const struct evlog_failure *failure);
/* returns CLI_OK caught up, enough, or interrupted | exit code, told */
int subscribing_run(struct subscribing *s);

#endif
