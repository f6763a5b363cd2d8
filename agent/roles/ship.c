/* Ships windows up the link. What cannot be sent within a second is dropped and counted: memory for
 * it is better spent on the windows to come. */
#include "ship.h"

#include <malloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "profile/pprof.h"
#include "usage.h"

enum { SEND_TIMEOUT_MS = 1000 };
static const uint64_t usage_gap_ns = 2 * PST_NS_PER_S;

void pst_ship_init(struct pst_ship *ship, int link)
{
    *ship = (struct pst_ship){.link = link};
    pst_buf_init(&ship->message, PST_MAX_LINK_MESSAGE_BYTES);
    pst_buf_init(&ship->body, PST_MAX_LINK_BODY_BYTES);
}

void pst_ship_done(struct pst_ship *ship)
{
    pst_buf_done(&ship->message);
    pst_buf_done(&ship->body);
}

static int seal_profile(struct pst_ship *ship, enum pst_mode mode,
                        const struct pst_profile *profile, struct pst_link_body *ret, int *ret_fd)
{
    pst_buf_reset(&ship->body);
    int status = pst_pprof_encode(profile, true, &ship->body);
    if (status < 0)
        return status;
    ret->mode = mode;
    ret->bytes = ship->body.len;
    pst_profile_total(profile, &ret->samples, &ret->value_ns);
    return pst_link_body_seal(ship->body.data, ship->body.len, ret_fd);
}

static int send_up(struct pst_ship *ship, const struct pst_link_up *up, const int *fds)
{
    int status = pst_link_up_encode(up, &ship->message);

    if (status < 0)
        return status;
    return pst_link_send(ship->link, ship->message.data, ship->message.len, fds, up->body_count,
                         SEND_TIMEOUT_MS);
}

static void report(struct pst_ship *ship, bool window_end)
{
    struct pst_link_up up = {.kind = PST_LINK_READER};

    up.reader.window_end = window_end;
    up.reader.sequence = ship->sequence;
    up.reader.unsent_windows = ship->unsent_windows;
    ship->told_shrink = atomic_load(&ship->shrink);
    up.reader.plan_generation = atomic_load(&ship->plan_generation);
    pst_usage_self(&up.reader.cpu_ns, &up.reader.memory_bytes);
    pst_usage_told(&ship->growth);
    pst_sampler_totals(ship->sampler, &up.reader.totals);
    (void)send_up(ship, &up, NULL);
    ship->told_ns = pst_clock_monotonic_ns();
}

void pst_ship_usage(struct pst_ship *ship, uint64_t now_ns)
{
    if (ship->told_ns == 0)
        ship->told_ns = now_ns;
    bool shrunk = atomic_load(&ship->shrink) != ship->told_shrink;
    if (now_ns - ship->told_ns >= usage_gap_ns || shrunk || pst_usage_has_grown(&ship->growth))
        report(ship, false);
}

void pst_ship_window(void *context, const struct pst_sampler_window *window,
                     struct pst_profile *const profiles[PST_MODE_COUNT])
{
    struct pst_ship *ship = context;
    struct pst_link_up up = {.kind = PST_LINK_WINDOW, .window = *window};
    int fds[PST_MODE_COUNT];
    bool whole = true;

    for (int mode = 0; mode < PST_MODE_COUNT; mode++) {
        if (!profiles[mode] || pst_profile_sample_count(profiles[mode]) == 0)
            continue;
        size_t index = up.body_count;
        if (seal_profile(ship, (enum pst_mode)mode, profiles[mode], &up.bodies[index],
                         &fds[index]) == 0)
            up.body_count++;
        else
            whole = false;
    }
    if (send_up(ship, &up, fds) < 0 || !whole)
        ship->unsent_windows++;
    for (size_t i = 0; i < up.body_count; i++)
        (void)close(fds[i]);
    pst_ship_usage(ship, pst_clock_monotonic_ns());
}

void pst_ship_window_end(void *context, uint64_t sequence)
{
    struct pst_ship *ship = context;

    ship->sequence = sequence;
    /* Profiles come and go with each window and leave holes behind. */
    if (atomic_load(&ship->shrink) > 0)
        (void)malloc_trim(0);
    report(ship, true);
}
