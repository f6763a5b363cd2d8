/* Hands jobs to the tracing thread one at a time, and keeps the books of what stops cost. */
#include "tracer.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "elves.h"
#include "functions.h"
#include "seize.h"

enum {
    BUCKET_NS = 2000,
    BUCKETS = 4096, /* up to 8 ms: a wait for a stop ends at 5 ms */
};

/* Lengths of stops, fine enough for a median. */
struct lengths {
    uint32_t bucket[BUCKETS];
    uint64_t count;
};

struct pst_tracer {
    pthread_t thread;
    bool alive;
    sem_t start, done;
    bool (*job)(void *context); /* NULL: end */
    void *context;
    bool keep; /* what the job answered */
    int status;

    struct pst_native_stats stats;
    struct lengths running, sleeping;

    struct pst_functions *functions;
    struct pst_elves *elves;
};

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) < 0 && errno == EINTR)
        continue;
}

static void *trace(void *context)
{
    struct pst_tracer *tracer = context;

    (void)prctl(PR_SET_NAME, "pst-tracer", 0, 0, 0);
    tracer->status = pst_seize_prepare();
    tracer->keep = tracer->status == 0;
    (void)sem_post(&tracer->done);
    while (tracer->keep) {
        wait_for(&tracer->start);
        if (!tracer->job)
            break;
        tracer->keep = tracer->job(tracer->context);
        (void)sem_post(&tracer->done);
    }
    pst_seize_done();
    return NULL;
}

static void join(struct pst_tracer *tracer)
{
    (void)pthread_join(tracer->thread, NULL);
    tracer->alive = false;
}

static int start(struct pst_tracer *tracer)
{
    int status = pthread_create(&tracer->thread, NULL, trace, tracer);

    if (status != 0)
        return -status;
    tracer->alive = true;
    wait_for(&tracer->done);
    if (!tracer->keep)
        join(tracer);
    return tracer->status;
}

int pst_tracer_run(struct pst_tracer *tracer, bool (*job)(void *context), void *context)
{
    int status = tracer->alive ? 0 : start(tracer);

    if (status < 0)
        return status;
    tracer->job = job;
    tracer->context = context;
    (void)sem_post(&tracer->start);
    wait_for(&tracer->done);
    if (!tracer->keep)
        join(tracer);
    return 0;
}

struct pst_tracer *pst_tracer_new(void)
{
    struct pst_tracer *tracer = calloc(1, sizeof(*tracer));

    if (!tracer)
        return NULL;
    tracer->functions = pst_functions_new();
    tracer->elves = elf_version(EV_CURRENT) != EV_NONE ? pst_elves_new() : NULL;
    if (!tracer->functions || !tracer->elves) {
        pst_functions_free(tracer->functions);
        pst_elves_free(tracer->elves);
        free(tracer);
        return NULL;
    }
    (void)sem_init(&tracer->start, 0, 0);
    (void)sem_init(&tracer->done, 0, 0);
    return tracer;
}

struct pst_tracer *pst_tracer_free(struct pst_tracer *tracer)
{
    if (!tracer)
        return NULL;
    if (tracer->alive) {
        tracer->job = NULL;
        (void)sem_post(&tracer->start);
        join(tracer);
    }
    (void)sem_destroy(&tracer->start);
    (void)sem_destroy(&tracer->done);
    pst_functions_free(tracer->functions);
    pst_elves_free(tracer->elves);
    free(tracer);
    return NULL;
}

struct pst_elves *pst_tracer_elves(struct pst_tracer *tracer)
{
    return tracer->elves;
}

struct pst_functions *pst_tracer_functions(struct pst_tracer *tracer)
{
    return tracer->functions;
}

/* --- books --- */

void pst_tracer_count_stop(struct pst_tracer *tracer, bool running, uint64_t ns)
{
    struct lengths *lengths = running ? &tracer->running : &tracer->sleeping;
    uint64_t place = ns / BUCKET_NS;

    lengths->bucket[place < BUCKETS ? place : BUCKETS - 1]++;
    lengths->count++;
    tracer->stats.stops++;
    if (ns > tracer->stats.longest_ns)
        tracer->stats.longest_ns = ns;
}

void pst_tracer_count(struct pst_tracer *tracer, enum pst_native_outcome outcome)
{
    tracer->stats.outcomes[outcome]++;
}

void pst_tracer_name(struct pst_tracer *tracer, const char *name)
{
    (void)snprintf(tracer->stats.tracer, sizeof(tracer->stats.tracer), "%s", name);
}

static uint64_t median(const struct lengths *lengths)
{
    uint64_t seen = 0;

    for (size_t i = 0; i < BUCKETS; i++) {
        seen += lengths->bucket[i];
        if (seen * 2 > lengths->count)
            return i * BUCKET_NS + BUCKET_NS / 2;
    }
    return 0;
}

void pst_tracer_stats(const struct pst_tracer *tracer, struct pst_native_stats *ret)
{
    *ret = tracer->stats;
    ret->running_ns = median(&tracer->running);
    ret->sleeping_ns = median(&tracer->sleeping);
}
