/* The sample reader: one thread samples what the plan names, the other ships windows and watches
 * the first. It knows targets by the table, owns no socket of its own making and no file. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "lend.h"
#include "plan_book.h"
#include "reader.h"
#include "ship.h"

enum {
    SHIP_WAIT_MS = 100,       /* how often the shipping thread looks whether sampling moves */
    LOOK_AGAIN_NS = 20000000, /* an entry of the table was being written */
    FINISH_PATIENCE_MS = 300, /* at the end, for the sampling thread to come back from a read */
};

struct reader {
    struct pst_sampler *sampler;
    struct pst_plan_book *book;
    struct pst_link_plan *part;
    char *message; /* PST_MAX_LINK_MESSAGE_BYTES */
    uint64_t resolve_at_ns;
    struct pst_ship ship;
    int stop_signal; /* signalfd; read by the shipping thread */
    int wake;        /* eventfd: ends the sampling thread's sleep */
    _Atomic bool stop, finished;
};

static uint64_t boot_ticks(void)
{
    struct timespec now;
    long per_second = sysconf(_SC_CLK_TCK);

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    uint64_t hz = per_second > 0 ? (uint64_t)per_second : 100;
    return (uint64_t)now.tv_sec * hz + (uint64_t)now.tv_nsec * hz / PST_NS_PER_S;
}

static void apply_plan(struct reader *reader, uint64_t now_ns)
{
    const struct pst_sampler_target *targets;
    bool again;
    size_t count = pst_plan_book_resolve(reader->book, boot_ticks(), &targets, &again);

    if (pst_sampler_plan(reader->sampler, targets, count) < 0)
        pst_log_warn("plan", "no memory for %zu targets", count);
    pst_sampler_shrink(reader->sampler, pst_plan_book_shrink(reader->book));
    atomic_store(&reader->ship.plan_generation, pst_plan_book_generation(reader->book));
    atomic_store(&reader->ship.shrink, pst_plan_book_shrink(reader->book));
    reader->resolve_at_ns = again ? now_ns + LOOK_AGAIN_NS : UINT64_MAX;
}

/* Only the last of several plans that wait is worth its work. */
static void read_link(struct reader *reader)
{
    bool changed = false;
    ssize_t got;

    while ((got = pst_link_receive(PST_FD_WINDOWS, reader->message, PST_MAX_LINK_MESSAGE_BYTES,
                                   NULL, 0, NULL)) != -EAGAIN) {
        /* The supervisor holds both ends as well: a hang-up means that it is gone too. */
        if (got == 0 || (got < 0 && got != -EMSGSIZE)) {
            atomic_store(&reader->stop, true);
            return;
        }
        if (got < 0 || pst_link_plan_decode(reader->message, (size_t)got, reader->part) < 0 ||
            reader->part->kind != PST_LINK_SAMPLING) {
            pst_log_warn("plan_rejected", "a plan out of bounds was refused");
            continue;
        }
        if (pst_plan_book_take(reader->book, reader->part) > 0)
            changed = true;
    }
    if (changed)
        reader->resolve_at_ns = 0;
}

static void sleep_until(struct reader *reader, uint64_t deadline_ns)
{
    struct pollfd fds[] = {{PST_FD_WINDOWS, POLLIN, 0}, {reader->wake, POLLIN, 0}};
    uint64_t now = pst_clock_monotonic_ns(), left = deadline_ns > now ? deadline_ns - now : 0;
    struct timespec timeout = {(time_t)(left / PST_NS_PER_S), (long)(left % PST_NS_PER_S)};

    if (ppoll(fds, 2, &timeout, NULL) > 0 && fds[0].revents != 0)
        read_link(reader);
}

static void sample_until_stopped(struct reader *reader)
{
    while (!atomic_load(&reader->stop)) {
        uint64_t now = pst_clock_monotonic_ns();
        if (now >= reader->resolve_at_ns)
            apply_plan(reader, now);
        uint64_t deadline = pst_sampler_tick(reader->sampler, now);
        if (reader->resolve_at_ns < deadline)
            deadline = reader->resolve_at_ns;
        sleep_until(reader, deadline);
    }
    pst_sampler_finish(reader->sampler);
    atomic_store(&reader->finished, true);
}

static void ship_all(struct reader *reader)
{
    while (pst_sampler_ship(reader->sampler, 0) > 0)
        continue;
}

/* Ends the process from the shipping thread, so that a sampling thread which never comes back holds
 * up nobody. */
static _Noreturn void end(struct reader *reader)
{
    atomic_store(&reader->stop, true);
    (void)eventfd_write(reader->wake, 1);
    for (int waited = 0; waited < FINISH_PATIENCE_MS && !atomic_load(&reader->finished); waited++)
        (void)poll(NULL, 0, 1);
    if (!atomic_load(&reader->finished))
        pst_sampler_take_over(reader->sampler);
    ship_all(reader);
    _exit(PST_EXIT_OK);
}

static void *ship_and_watch(void *context)
{
    struct reader *reader = context;
    struct signalfd_siginfo info;
    uint64_t target;

    (void)prctl(PR_SET_NAME, "pst-ship", 0, 0, 0);
    for (;;) {
        (void)pst_sampler_ship(reader->sampler, SHIP_WAIT_MS);
        pst_ship_usage(&reader->ship, pst_clock_monotonic_ns());
        if (read(reader->stop_signal, &info, sizeof(info)) > 0 || atomic_load(&reader->stop))
            end(reader);
        if (pst_sampler_stalled(reader->sampler, pst_clock_monotonic_ns(), &target)) {
            pst_sampler_take_over(reader->sampler);
            ship_all(reader);
            pst_reader_stalled(PST_ROLE_SAMPLE, target, 0);
        }
    }
    return NULL;
}

static void take_skip(void *context, const struct pst_control *record)
{
    struct reader *reader = context;

    if (record->value <= UINT32_MAX)
        pst_plan_book_skip(reader->book, (uint32_t)record->value);
}

static int open_reader(struct reader *reader, bool native)
{
    struct pst_table *table;
    int status = pst_table_open(PST_FD_TABLE, false, &table);

    if (status < 0)
        return status;
    (void)close(PST_FD_TABLE);
    pst_ship_init(&reader->ship, PST_FD_WINDOWS);
    struct pst_sampler_hooks hooks = {&reader->ship, pst_ship_window, pst_ship_window_end};
    reader->sampler = reader->ship.sampler = pst_sampler_new(&hooks);
    reader->book = pst_plan_book_new(table, native);
    reader->part = malloc(sizeof(*reader->part));
    reader->message = malloc(PST_MAX_LINK_MESSAGE_BYTES);
    if (!reader->sampler || !reader->book || !reader->part || !reader->message)
        return -ENOMEM;
    reader->resolve_at_ns = UINT64_MAX;
    pst_reader_skips(take_skip, reader);
    reader->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return reader->wake < 0 ? -errno : 0;
}

static int start_shipping(struct reader *reader)
{
    sigset_t mask;
    pthread_t thread;

    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGTERM);
    (void)sigaddset(&mask, SIGINT);
    (void)sigaddset(&mask, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &mask, NULL);
    (void)sigdelset(&mask, SIGHUP);
    reader->stop_signal = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (reader->stop_signal < 0)
        return -errno;
    return -pthread_create(&thread, NULL, ship_and_watch, reader);
}

int pst_reader_sample_main(bool native)
{
    static struct reader reader;

    pst_lend_accept();
    int status = open_reader(&reader, native);

    if (status == 0)
        status = start_shipping(&reader);
    if (status < 0) {
        pst_log_error("reader_start", "the sample reader cannot start: %s", strerror(-status));
        return PST_EXIT_FAILED;
    }
    /* The default slack of 50 us would be a tenth of the jitter at 1000 Hz. */
    (void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    pst_reader_restrict(PST_ROLE_SAMPLE, native);
    pst_reader_ready(PST_ROLE_SAMPLE);
    sample_until_stopped(&reader);
    /* The shipping thread ends the process. */
    for (;;)
        (void)pause();
}
