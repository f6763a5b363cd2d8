/* The scan reader: finds targets and keeps finding, with a second thread that leaves the first
 * behind when a target makes it wait. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "facts_book.h"
#include "lend.h"
#include "python/python.h"
#include "reader.h"
#include "roles/link.h"
#include "target/procfs.h"
#include "target/rights.h"

enum { TICK_MS = 50, WATCH_MS = 100 };

#define STALL_NS            PST_NS_PER_S
#define DEFAULT_INTERVAL_NS (10 * PST_NS_PER_S)
#define DEFAULT_MIN_AGE_NS  (5 * PST_NS_PER_S)

struct reader {
    struct pst_scan *scan;
    struct pst_facts_book *book;
    struct pst_scan_watch watch;
    struct pst_link_plan *plan;
    char *message; /* PST_MAX_LINK_MESSAGE_BYTES */
    uint64_t interval_ns, next_run_ns, runs;
    bool report_owed;
    bool planned; /* before that a wrong configuration may end it all: nothing is said */
    pid_t untold; /* a Python that was refused before */
    uint64_t denied;
};

static void *watch_stalls(void *context)
{
    struct reader *reader = context;
    uint64_t seen = 0, since_ns = pst_clock_monotonic_ns();

    (void)prctl(PR_SET_NAME, "pst-watch", 0, 0, 0);
    for (;;) {
        (void)poll(NULL, 0, WATCH_MS);
        uint64_t now = pst_clock_monotonic_ns();
        uint64_t sequence = atomic_load(&reader->watch.sequence);
        if (sequence != seen || (sequence & 1) == 0) {
            seen = sequence;
            since_ns = now;
        } else if (now - since_ns >= STALL_NS && pst_procfs_sleeps(getpid())) {
            pst_reader_stalled(PST_ROLE_SCAN, (uint64_t)atomic_load(&reader->watch.pid),
                               atomic_load(&reader->watch.start_ticks));
        }
    }
    return NULL;
}

/* The scan asks for one variable after the other: the attachment is kept for the next question. */
struct interpreter {
    uint64_t id;
    struct pst_procref ref;
    struct pst_memory *memory;
    struct pst_python *python;
};

static void detach(struct interpreter *interpreter)
{
    interpreter->python = pst_python_free(interpreter->python);
    interpreter->memory = pst_memory_free(interpreter->memory);
    if (interpreter->id != 0)
        pst_procref_done(&interpreter->ref);
    interpreter->id = 0;
}

static int attach(struct interpreter *interpreter, const struct pst_facts *facts)
{
    detach(interpreter);
    int status = pst_procref_open(facts->pid, &interpreter->ref);
    if (status < 0)
        return status;
    interpreter->id = facts->id;
    if (interpreter->ref.start_ticks != facts->start_ticks)
        return -ESRCH;
    interpreter->memory = pst_memory_new(&interpreter->ref);
    if (!interpreter->memory)
        return -ENOMEM;
    enum pst_verdict verdict =
        pst_python_attach(interpreter->memory, &facts->runtime, &interpreter->python);
    return verdict == PST_V_OK ? 0 : -EIO;
}

/* The one asked last is kept: one target is asked for many things in a row. */
static struct pst_python *ask(const struct pst_facts *facts, int *ret_status)
{
    static struct interpreter last;

    *ret_status = 0;
    if (last.id != facts->id || !last.python) {
        *ret_status = attach(&last, facts);
        if (*ret_status < 0)
            detach(&last);
    }
    return last.python;
}

static int interpreter_environ(void *context, const struct pst_facts *facts, const char *name,
                               char *dst, size_t size)
{
    int status;
    struct pst_python *python = ask(facts, &status);

    (void)context;
    return status < 0 ? status : pst_python_environ(python, name, dst, size);
}

static int interpreter_arguments(void *context, const struct pst_facts *facts, struct pst_buf *out)
{
    int status;
    struct pst_python *python = ask(facts, &status);

    (void)context;
    return status < 0 ? status : pst_python_arguments(python, out);
}

static void take_skip(void *context, const struct pst_control *record)
{
    struct reader *reader = context;

    if (record->value <= INT32_MAX)
        (void)pst_scan_refuse(reader->scan, (pid_t)record->value, record->extra);
}

/* A Python that shows itself and may not be read. */
static void tell_refused(struct reader *reader, pid_t pid)
{
    struct pst_refusal refusal;

    reader->untold = reader->planned ? 0 : pid;
    if (!reader->planned)
        return;
    pst_rights_refusal("process_vm_readv", pid, &refusal);
    pst_log_warn("eperm", "%s; %s", refusal.why, refusal.remedy);
}

static void tell_event(void *context, enum pst_scan_event event, const struct pst_facts *facts)
{
    struct reader *reader = context;

    if (event != PST_SCAN_GONE && facts->state == PST_TARGET_FAILED &&
        pst_str_eq(facts->reason, PST_STR("eperm")))
        tell_refused(reader, facts->pid);
    pst_facts_book_event(reader->book, event, facts);
}

static int new_scan(struct reader *reader, uint64_t min_age_ns)
{
    struct pst_scan_options options = {
        .min_age_ns = min_age_ns,
        .emit = tell_event,
        .interpreter_environ = interpreter_environ,
        .interpreter_arguments = interpreter_arguments,
        .context = reader,
        .watch = &reader->watch,
    };

    reader->scan = pst_scan_new(&options);
    return reader->scan ? 0 : -ENOMEM;
}

static void take_plan(struct reader *reader, const struct pst_link_plan *plan)
{
    reader->interval_ns = plan->interval_ns;
    pst_scan_set_min_age(reader->scan, plan->min_age_ns);
    reader->next_run_ns = 0;
    reader->planned = true;
    if (reader->untold)
        tell_refused(reader, reader->untold);
    if (plan->resend)
        pst_facts_book_owe_all(reader->book);
}

/* False when the agent has gone. */
static bool read_link(struct reader *reader)
{
    for (;;) {
        ssize_t got = pst_link_receive(PST_FD_FACTS, reader->message, PST_MAX_LINK_MESSAGE_BYTES,
                                       NULL, 0, NULL);
        if (got == -EAGAIN)
            return true;
        if (got == 0 || (got < 0 && got != -EMSGSIZE))
            return false;
        if (got < 0 || pst_link_plan_decode(reader->message, (size_t)got, reader->plan) < 0 ||
            reader->plan->kind != PST_LINK_DISCOVERY)
            pst_log_warn("plan_rejected", "a plan out of bounds was refused");
        else
            take_plan(reader, reader->plan);
    }
}

/* Whether a process carries Python shows in its maps: where these are refused nothing is known of
 * it, so what is told, once, is how many there are and what stands in the way of one. */
static void tell_denied(struct reader *reader)
{
    struct pst_scan_stats stats;
    struct pst_refusal refusal;

    if (!reader->planned)
        return;
    pst_scan_stats(reader->scan, &stats);
    if (stats.denied > 0 && reader->denied == 0) {
        pst_rights_refusal("reading /proc/PID/maps", stats.denied_pid, &refusal);
        pst_log_warn("denied",
                     "%" PRIu64 " processes may not be read (EPERM): Pythons among them are not "
                     "profiled; %s; %s",
                     stats.denied, refusal.why, refusal.remedy);
    }
    reader->denied = stats.denied;
}

static void look(struct reader *reader)
{
    uint64_t now = pst_clock_monotonic_ns();
    int status;

    if (now >= reader->next_run_ns) {
        status = pst_scan_run(reader->scan);
        tell_denied(reader);
        reader->runs++;
        reader->next_run_ns = now + reader->interval_ns;
        reader->report_owed = true;
    } else {
        status = pst_scan_tick(reader->scan);
    }
    if (status < 0)
        pst_log_warn("scan", "cannot look for processes: %s", strerror(-status));
    /* The report comes after everything that the run found: a daemon that starts waits for it. */
    if (pst_facts_book_settle(reader->book, reader->scan) && reader->report_owed)
        reader->report_owed = pst_facts_book_scan(reader->book, reader->scan, reader->runs) < 0;
}

static int open_reader(struct reader *reader)
{
    struct pst_table *table;
    int status = pst_table_open(PST_FD_TABLE, true, &table);

    if (status < 0)
        return status;
    (void)close(PST_FD_TABLE);
    reader->interval_ns = DEFAULT_INTERVAL_NS;
    reader->book = pst_facts_book_new(table, PST_FD_FACTS);
    reader->plan = malloc(sizeof(*reader->plan));
    reader->message = malloc(PST_MAX_LINK_MESSAGE_BYTES);
    if (!reader->book || !reader->plan || !reader->message)
        return -ENOMEM;
    status = new_scan(reader, DEFAULT_MIN_AGE_NS);
    if (status < 0)
        return status;
    pst_reader_skips(take_skip, reader);
    pthread_t thread;
    return -pthread_create(&thread, NULL, watch_stalls, reader);
}

int pst_reader_scan_main(void)
{
    static struct reader reader;

    pst_lend_accept();
    int status = open_reader(&reader);

    if (status < 0) {
        pst_log_error("reader_start", "the scan reader cannot start: %s", strerror(-status));
        return PST_EXIT_FAILED;
    }
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    pst_reader_restrict(PST_ROLE_SCAN, false);
    pst_reader_ready(PST_ROLE_SCAN);
    while (read_link(&reader)) {
        look(&reader);
        struct pollfd link = {PST_FD_FACTS, POLLIN, 0};
        (void)poll(&link, 1, TICK_MS);
    }
    return PST_EXIT_OK;
}
