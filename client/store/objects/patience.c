/* SPDX-License-Identifier: Apache-2.0 */
#include <store/patience.h>

#include <evlog/error.h>
#include <time.h>

#define FIRST_MS 100u
#define LONGEST_MS 15000u

bool object_try_again(int code, uint32_t *tries)
{
    if (code != EVLOG_ERR_AGAIN || *tries >= OBJECT_TRIES_MAX) {
        return false;
    }
    uint32_t ms = FIRST_MS << (*tries)++;
    ms = ms > LONGEST_MS ? LONGEST_MS : ms;
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&wait, NULL); /* a signal ends it early: the caller is asked whether to go on */
    return true;
}
