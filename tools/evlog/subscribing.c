/* SPDX-License-Identifier: Apache-2.0 */
#include "subscribing.h"

#define WAIT_MS 200 /* between looks for a signal */

int subscribing_failed(const struct cli *cli, const struct evlog_failure *failure)
{
    int rc = cli_failure(cli, failure);
    switch (failure->code) {
    case EVLOG_ERR_OFFSET_RANGE:
        return CLI_PARTIAL; /* history is missing */
    case EVLOG_ERR_ARGUMENT:
    case EVLOG_ERR_LIMIT:
    case EVLOG_ERR_MALFORMED:
    case EVLOG_ERR_TRUNCATED:
    case EVLOG_ERR_FORMAT:
        return CLI_USAGE;
    default:
        return rc;
    }
}

int subscribing_run(struct subscribing *s)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const struct evlog_subscription_item *item;
    int rc = CLI_OK;
    bool flushed = true;
    while (rc == CLI_OK && !cli_interrupted && s->count != s->count_max) {
        int got = evlog_subscription_next(s->subscription, flushed ? WAIT_MS : 0, &item, &failure);
        if (got < 0) {
            return subscribing_failed(s->cli, &failure);
        }
        if (got == 0) {
            if (!flushed && fflush(stdout) != 0) {
                return cli_error(s->cli, CLI_ERR_OUTPUT, "the output cannot be written");
            }
            flushed = true;
            continue;
        }
        bool counts = false;
        bool ends = s->until_caught_up && item->kind == EVLOG_SUBSCRIPTION_CAUGHT_UP;
        rc = s->show(s->arg, item, &counts);
        s->count += counts;
        flushed = false;
        if (ends) {
            break;
        }
    }
    return rc;
}
